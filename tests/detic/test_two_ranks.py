"""Two gloo ranks whose batches are of different kinds in the same step."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from mmroad.detic.drawn_shapes import write_shapes


@pytest.mark.parametrize(
    ('kind', 'steps'),
    [
        ('c2', 20),
        *(pytest.param(k, n, marks=pytest.mark.slow) for k, n in (('c2', 300), ('c4', 30), ('detr', 30))),
    ],
)
def test_ranks_with_different_kinds_of_batches_stay_together(tmp_path, kind, steps):
    write_shapes(tmp_path, train=1, weak=1, val=1)
    script = Path(__file__).with_name('two_ranks.py')
    ranks = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(steps), str(tmp_path), kind],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        errors = [rank.communicate(timeout=500)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], errors
    one, two = (json.loads((tmp_path / f'{rank}.json').read_text()) for rank in (0, 1))
    together = set(zip(one['kinds'], two['kinds']))
    assert len(one['kinds']) == steps and len(together) >= (4 if kind == 'detr' else 6)  # of four, of nine
    assert all(map(math.isfinite, one['losses'] + two['losses']))
    assert one['digest'] == two['digest']
