"""Checkpoints of mmengine's own training are read without unpickling what they log."""

import os

import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmroad.zoo.checkpoint import CheckpointError, load_state_file


class Harm:
    def __reduce__(self):
        return os.system, ('exit 1',)


def reach(attribute):
    class Reach:
        def __reduce__(self):
            return getattr, (HistoryBuffer, attribute)

    return Reach()


def test_logged_values_do_not_hinder(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    weight = torch.arange(3.0)
    torch.save(
        dict(state_dict=dict(w=weight), message_hub=dict(log_scalars=dict(loss=buffer))), tmp_path / 'a.pth'
    )
    content = load_state_file(tmp_path / 'a.pth')
    assert torch.equal(content['state_dict']['w'], weight)
    assert not isinstance(content['message_hub']['log_scalars']['loss'], HistoryBuffer)


def test_attributes_are_out_of_reach(tmp_path):
    torch.save(dict(state_dict={}, a=reach('__init__')), tmp_path / 'a.pth')
    assert load_state_file(tmp_path / 'a.pth')['a'] is None
    torch.save(dict(state_dict={}, a=Harm()), tmp_path / 'b.pth')
    with pytest.raises(CheckpointError, match='not weights alone'):
        load_state_file(tmp_path / 'b.pth')
