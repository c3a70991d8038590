"""Everything in this folder is marked ``gpu`` and skipped without one. ``MMROAD_TEST_DEVICE=cpu`` runs what can
be run without one too, to try the tests themselves."""

import os

import pytest
import torch


def pytest_collection_modifyitems(items):
    for item in items:
        if 'tests/gpu' in item.path.as_posix():
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(scope='session')
def device():
    name = os.environ.get('MMROAD_TEST_DEVICE', 'cuda')
    if name == 'cuda' and not torch.cuda.is_available():
        pytest.skip('there is no GPU')
    return torch.device(name)


@pytest.fixture(autouse=True)
def plain_float32():
    """The GPU's matrix units keep all bits of float32, so that it can be compared with the CPU."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
