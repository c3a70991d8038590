"""Drives: a few small videos with tracks, drawn once."""

import pytest

from mmroad.road_scenes.write import write_dataset


@pytest.fixture(scope='session')
def drives(tmp_path_factory):
    """Five videos of eight frames (one is val), and six images of detection."""
    root = tmp_path_factory.mktemp('tracks') / 'road scenes'
    write_dataset(root, train=6, val=1, ood=0, tracks=5, frames=8, size=(160, 96), seed=3)
    return root
