import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmroad import converters
from mmroad.converters import ConversionError, convert, convert_file, flatten, rename, sources


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


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(2, 3)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(converters, 'build', lambda config: Small())


WHOLE = {'backbone.weight': torch.arange(6.0).reshape(3, 2), 'backbone.bias': torch.ones(3)}


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        ({'backbone.extra': torch.ones(1)}, 'unexpected: 1\n  backbone.extra'),
        ({'backbone.bias': torch.ones(4)}, r'mismatched: 1\s+backbone.bias: source \(4,\), model \(3,\)'),
        ({'backbone.bias': None}, 'missing: 1\n  backbone.bias'),
    ],
)
def test_what_does_not_fit_is_not_written(small, tmp_path, change, problem):
    state = {k: v for k, v in (WHOLE | change).items() if v is not None}
    torch.save(state, tmp_path / 'a.pth')
    with pytest.raises(ConversionError, match=problem):
        convert_file('rba', tmp_path / 'a.pth', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()


def test_a_whole_file_is_written_with_its_folder(small, tmp_path):
    torch.save(WHOLE, tmp_path / 'a.pth')
    assert convert_file('rba', tmp_path / 'a.pth', tmp_path / 'new/out.pth').ok
    content = torch.load(tmp_path / 'new/out.pth', weights_only=True)
    assert all(torch.equal(content['state_dict'][k], v) for k, v in WHOLE.items())
    assert content['meta'] == dict(source='rba', config='rba_swin_b_1dl_cityscapes')
    assert [p.name for p in (tmp_path / 'new').iterdir()] == ['out.pth']


def test_the_source_is_not_overwritten_and_names_are_asked_first(small, tmp_path):
    torch.save(WHOLE, tmp_path / 'a.pth')
    (tmp_path / 'b.pth').symlink_to(tmp_path / 'a.pth')
    before = (tmp_path / 'a.pth').read_bytes()
    for out in ('a.pth', 'b.pth', './a.pth'):
        with pytest.raises(ConversionError, match='is the checkpoint that is converted'):
            convert_file('rba', tmp_path / 'a.pth', tmp_path / out)
    with pytest.raises(ConversionError, match='rba keeps no class names'):
        convert_file('rba', tmp_path / 'a.pth', tmp_path / 'out.pth', classes='car,bus')
    assert (tmp_path / 'a.pth').read_bytes() == before


def test_no_room_names_the_file_and_what_is_free(small, tmp_path):
    torch.save(WHOLE, tmp_path / 'a.pth')
    (tmp_path / 'out.pth').write_bytes(b'earlier')
    code = (
        'import resource, signal, sys; from torch import nn; import mmroad.converters as c\n'
        'm = nn.Module(); m.backbone = nn.Linear(2, 3); c.build = lambda config: m\n'
        'signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))\n'
        'c.convert_file("rba", sys.argv[1], sys.argv[2])'
    )
    done = subprocess.run(
        [sys.executable, '-c', code, tmp_path / 'a.pth', tmp_path / 'out.pth'], capture_output=True, text=True
    )
    last = done.stderr.strip().splitlines()[-1]
    assert (
        'no room for the whole file' in last and 'MiB are free' in last and str(tmp_path / 'out.pth') in last
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.pth', 'out.pth']
    assert (tmp_path / 'out.pth').read_bytes() == b'earlier'


def test_sources_are_the_modules():
    assert {'rba', 'mask2former', 'imagenet'} <= set(sources())
    assert not [s for s in sources() if s.startswith('_')]
