"""Trainings that are killed at random moments equal those that are not (``kills.py`` has the long form)."""

import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).with_name('kills.py')


@pytest.mark.slow
@pytest.mark.parametrize('kills, ranks', [(12, 1), (6, 2)])
def test_killed_trainings_equal_those_that_were_not(kills, ranks):
    done = subprocess.run(
        [sys.executable, str(KILLS), str(kills), str(ranks)], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
