"""Runs of scores on disk: where direct access is refused, where the disk is full, where files are gone."""

import errno
import os

import numpy as np
import pytest

from mmroad.anomaly import runs
from mmroad.anomaly.runs import ScoreRuns


@pytest.fixture
def collected(monkeypatch, tmp_path):
    """Fills several runs with 5,000 inlier and 500 outlier scores; returns them with all that it was given."""
    for name, value in (('RANGE', 700), ('BUFFER', 8000), ('STRIDE', 64)):
        monkeypatch.setattr(runs, name, value)

    def fill():
        rng, own, given = np.random.default_rng(0), ScoreRuns(tmp_path), ([], [])
        for _ in range(10):
            image = rng.standard_normal(500), rng.standard_normal(50) + 1
            own.add(*image)
            for part, values in zip(given, image):
                part.extend(values)
        return own, given

    return fill


@pytest.mark.parametrize('direct', [True, False])
def test_ranges_give_back_all_scores(collected, direct, monkeypatch):
    if not direct:
        plain = os.open

        def refuse(path, flags, *args, **kwargs):
            if flags & getattr(os, 'O_DIRECT', 0):
                raise OSError(errno.EINVAL, 'Invalid argument')
            return plain(path, flags, *args, **kwargs)

        monkeypatch.setattr(os, 'open', refuse)
    own, (inliers, outliers) = collected()
    ranges = list(own.falling())
    assert len(ranges) > 4 and len(ranges[0][0]) > 4
    for k, (above, below) in enumerate(zip(ranges, ranges[1:])):
        lowest = min(part[0] for part in (*above[0], above[1]) if len(part))
        assert all(part[-1] < lowest for part in (*below[0], below[1]) if len(part)), k
    assert np.array_equal(
        np.sort(np.concatenate([p for parts, _ in ranges for p in parts])), np.sort(inliers)
    )
    assert np.array_equal(np.concatenate([part for _, part in ranges[::-1]]), np.sort(outliers))


def test_a_full_disk_and_lost_files_are_named(collected, monkeypatch, tmp_path):
    own, _ = collected()
    file = next(tmp_path.rglob('000001'))
    file.write_bytes(file.read_bytes()[: runs.PAGE])
    with pytest.raises(OSError, match='000001: scores that were written there are gone'):
        list(own.falling())

    def full(file, data):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'write', full)
    with pytest.raises(OSError, match="No space left on device; TMPDIR names.*000000'"):
        collected()
