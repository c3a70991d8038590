import argparse
import shutil
from pathlib import Path

import pytest

from mmroad.commands import train

WAREHOUSE = Path(__file__).parents[3] / 'examples/warehouse'


@pytest.fixture
def options(tmp_path):
    """The arguments of `mmroad train` as the command line gives them, with a work folder of the test's own."""

    def parse(*words):
        parser = argparse.ArgumentParser()
        train.add_arguments(parser)
        args = parser.parse_args([*map(str, words), '--work-dir', str(tmp_path / 'run')])
        train.check(parser, args)
        return args

    return parse


@pytest.fixture(scope='session')
def warehouse(tmp_path_factory):
    """A copy of the example's pictures and labels, in a folder whose name has a blank."""
    folder = tmp_path_factory.mktemp('own data') / 'ware house'
    shutil.copytree(WAREHOUSE, folder)
    return folder
