"""tools/soak.sh for a minute (``slow``), and its own arithmetic."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import soak
from children import Attempt, finish, fork, kill_when
from mutants import mutated


def trial(*attempts, share=0):
    return soak.Trial('R1', 'something', share, lambda folder, rng: iter(attempts))


def test_what_is_broken_is_counted_printed_and_kept(tmp_path, capsys):
    good, bad = (
        trial(Attempt('a', number=50), share=1),
        trial(Attempt('a'), Attempt('b', ['it broke']), share=1),
    )
    assert soak.soak([good, bad], 1, 0, tmp_path) == 1
    said = capsys.readouterr().out
    assert 'something, b: BROKEN: it broke' in said
    assert [line.split('|')[3:6] for line in said.splitlines()[-2:]] == [
        [' 50        ', ' 0      ', ' a 50     '], [' 2         ', ' 1      ', ' a 1, b 1 ']]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ['01']


def test_each_trial_is_made_once_at_least(tmp_path, capsys):
    assert soak.soak([trial(Attempt('a'), Attempt('b'))], 0, 0, tmp_path) == 0
    assert 'something: a 1; broken 0' in capsys.readouterr().out


def test_a_trial_that_cannot_be_made_is_broken(tmp_path, capsys):
    def attempts(folder, rng):
        yield Attempt('a')
        raise ValueError('no such tool')

    assert soak.soak([soak.Trial('R1', 'something', 1, attempts), trial(Attempt('b'))], 1, 0, tmp_path) == 1
    said = capsys.readouterr().out
    assert (
        'cannot be tried: BROKEN: Traceback' in said and 'no such tool' in said and 'something: b 1' in said
    )


def test_how_processes_end_is_told(tmp_path):
    def crash():
        kill_when(__import__('os').getpid(), lambda: True, 1)

    ends = [
        finish(fork(run, tmp_path / 'log'), 60) for run in (int, crash, lambda: sys.exit('no'), lambda: 1 / 0)
    ]
    assert ends == ['', 'SIGKILL', 'exit code 1', 'exit code 1']
    assert 'no\n' in (tmp_path / 'log').read_text() and 'ZeroDivisionError' in (tmp_path / 'log').read_text()


def test_a_seed_makes_the_same_changes():
    content = bytes(range(256)) * 8
    one, two = ([mutated(content, rng) for _ in range(50)] for rng in (random.Random(3), random.Random(3)))
    assert one == two and len(set(one)) == 50 and content not in one


def test_every_row_has_a_trial():
    rows = {row for trial in soak.trials() for row in trial.rows.split()}
    assert rows == {f'R{i}' for i in range(1, 17)}


@pytest.mark.slow
def test_every_promise_is_kept(tmp_path):
    assert soak.soak(soak.trials(), 1, 1, tmp_path) == 0
