"""Runs of scores on disk: where direct access is refused, where the disk is full, where files are gone."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics

from mmroad.anomaly import runs
from mmroad.anomaly.pixel import PixelMetrics
from mmroad.anomaly.runs import Run, ScoreRuns, Tie


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
    assert not any(isinstance(found, Tie) for found in ranges)
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


def test_writes_in_parts_lose_nothing(collected, monkeypatch):
    """The system may write less than it is asked to, as it does beyond 2 GiB."""
    plain = os.write
    monkeypatch.setattr(runs, 'BUFFER', 40_000)  # several pages at a time
    monkeypatch.setattr(os, 'write', lambda file, data: plain(file, data[: max(runs.PAGE, len(data) // 2)]))
    own, (inliers, outliers) = collected()
    ranges = list(own.falling())
    assert np.array_equal(np.concatenate([part for _, part in ranges[::-1]]), np.sort(outliers))
    assert sum(len(part) for found, _ in ranges for part in found) == len(inliers)


KILLED = """
import os, signal, sys
import numpy as np
from mmroad.anomaly import runs
runs.BUFFER = 8000
own = runs.ScoreRuns(sys.argv[1])
for _ in range(4):
    own.add(np.zeros(500), np.ones(50))
print('ready', flush=True)
if sys.argv[2] == 'killed':
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""


def test_what_a_killed_run_left_is_removed_by_the_next(collected, tmp_path):
    command = [sys.executable, '-c', KILLED, str(tmp_path)]
    subprocess.run([*command, 'killed'], stdout=subprocess.DEVNULL)
    (dead,) = tmp_path.iterdir()
    assert dead.name.startswith('.') and len(list(dead.iterdir())) > 2
    running = subprocess.Popen([*command, 'living'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert running.stdout.readline() == b'ready\n'
    (living,) = tmp_path.iterdir()
    assert living != dead
    own, _ = collected()
    assert living in tmp_path.iterdir() and len(list(tmp_path.iterdir())) == 2  # its own and the living one's
    running.communicate(b'')
    del own
    assert not list(tmp_path.iterdir())


def test_scores_that_fit_in_memory_need_no_folder(tmp_path):
    own = ScoreRuns(tmp_path / 'missing')
    own.add(np.zeros(5), np.ones(5))
    assert len(list(own.falling())) == 1


@pytest.mark.parametrize('value', [0.0, -1e9, np.inf])
def test_many_equal_scores_are_never_read_at_once(collected, value, monkeypatch):
    rng, ours, everything, read = np.random.default_rng(0), PixelMetrics(), [], []
    monkeypatch.setattr(Run, 'read', lambda run, a, b, plain=Run.read: read.append(b - a) or plain(run, a, b))
    for _ in range(8):
        labels = (rng.random(1500) < 0.1).astype(np.uint8)
        scores = rng.standard_normal(1500) + labels
        scores[rng.random(1500) < 0.7] = value
        ours.add(scores, labels)
        everything.append((scores, labels))
    got = ours.compute()
    scores, labels = map(np.concatenate, zip(*everything))
    scores = np.where(np.isinf(scores), 1e9, scores)  # scikit-learn takes no infinity
    assert got.ap == pytest.approx(metrics.average_precision_score(labels, scores), abs=1e-12)
    assert got.auroc == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    fpr, tpr, _ = metrics.roc_curve(labels, scores)
    assert got.fpr95_rba == pytest.approx(fpr[tpr > 0.95][0], abs=1e-12)
    assert max(read) < 500  # of about 1,000 equal ones in a run
