from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmroad.converters import ConversionError, convert, flatten, rename, sources


def test_rules_apply_in_order_and_none_drops():
    state = {'a.weight': torch.ones(2), 'a.old.bias': torch.zeros(1), 'criterion.x': torch.ones(1)}
    renamed, dropped = rename(
        state,
        [(r'^criterion\.', None), (r'^a\.', 'b.'), (r'^b\.weight$', 'b.w', lambda x: 2 * x), (r'\.old', '')],
    )
    assert dropped == ['criterion.x']
    assert set(renamed) == {'b.w', 'b.bias'}
    assert renamed['b.w'].tolist() == [2, 2]


def test_two_keys_that_become_one_are_an_error():
    with pytest.raises(ConversionError, match='a.1 and a.0 both become a'):
        rename({'a.0': torch.ones(1), 'a.1': torch.ones(1)}, [(r'\.\d$', '')])


def test_report_lists_what_does_not_fit():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    state = {
        'stem.weight': torch.ones(4, 3, 1, 1),
        'stem.extra': torch.ones(1),
        'norm.weight': torch.ones(5),
        'norm.bias': torch.ones(4),
        'norm.running_mean': torch.ones(4),
        'norm.running_var': torch.ones(4),
    }
    report = convert(state, SimpleNamespace(RULES=[('^stem', '0'), ('^norm', '1')]), model)
    assert report.supplied == ['1.num_batches_tracked']
    assert report.missing == ['0.bias']
    assert report.unexpected == ['0.extra']
    assert report.mismatched == ['1.weight: source (5,), model (4,)']
    assert not report.ok and '0.extra' in str(report)


def test_flatten_finds_the_state_dict_and_turns_arrays_into_tensors():
    state = flatten({'model': {'a': np.ones(2, 'float32')}, '__author__': 'x'})
    assert state['a'].dtype == torch.float32 and state['a'].tolist() == [1, 1]
    assert set(flatten({'a': np.ones(1), '__author__': 'x'})) == {'a'}
    with pytest.raises(ConversionError, match='no tensors'):
        flatten({'epoch': 3}, 'x.pth')


def test_sources_are_the_modules():
    assert {'rba', 'mask2former', 'imagenet'} <= set(sources())
    assert not [s for s in sources() if s.startswith('_')]
