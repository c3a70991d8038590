"""A lock that one process has at a time."""

import errno
import fcntl
import os

import pytest

from mmroad.files import file_lock
from mmroad.files.file_lock import locked


def never(waited):
    raise AssertionError('nobody is waited for')


def test_a_lock_is_held_and_free_afterwards(tmp_path):
    for _ in range(2):
        with locked(tmp_path / 'a.lock', never) as held:
            assert held is True
    assert oct((tmp_path / 'a.lock').stat().st_mode & 0o777) in ('0o644', '0o664', '0o666', '0o600')
    with pytest.raises(KeyError), locked(tmp_path / 'a.lock', never):
        raise KeyError
    with locked(tmp_path / 'a.lock', never) as held:  # an error frees it too
        assert held


def test_waiting_asks_again_until_it_is_free_or_given_up(tmp_path, monkeypatch):
    pauses, asked = [], []
    monkeypatch.setattr(file_lock.time, 'sleep', pauses.append)
    monkeypatch.setattr(file_lock.time, 'monotonic', iter([100.0, 100.5, 101.0, 103.0]).__next__)
    with locked(tmp_path / 'a.lock', never):
        monkeypatch.setattr(file_lock.time, 'monotonic', iter([100.0, 100.5, 101.0, 103.0]).__next__)
        with locked(tmp_path / 'a.lock', lambda waited: asked.append(waited) or len(asked) < 3) as held:
            assert held is False
    assert asked == [0.5, 1.0, 3.0] and pauses == [0.1, 0.1]


def test_a_lock_that_gets_free_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(file_lock.time, 'sleep', lambda seconds: None)
    first = os.open(tmp_path / 'a.lock', os.O_RDWR | os.O_CREAT)
    fcntl.flock(first, fcntl.LOCK_EX)

    def free(waited):
        fcntl.flock(first, fcntl.LOCK_UN)
        return True

    with locked(tmp_path / 'a.lock', free) as held:
        assert held is True
        with pytest.raises(BlockingIOError):
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(first)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(descriptor, how):
        raise OSError(errno.ENOLCK, 'no locks')

    monkeypatch.setattr(file_lock.fcntl, 'flock', refuse)
    with locked(tmp_path / 'a.lock', never) as held:
        assert held is False


def test_the_file_of_another_user_is_locked_for_reading(tmp_path, monkeypatch):
    (tmp_path / 'a.lock').touch()
    modes, real = [], os.open

    def only_read(path, flags, *mode):
        modes.append(flags)
        if flags & os.O_RDWR:
            raise PermissionError
        return real(path, flags, *mode)

    monkeypatch.setattr(file_lock.os, 'open', only_read)
    with locked(tmp_path / 'a.lock', never) as held:
        assert held is True
    assert modes == [os.O_RDWR | os.O_CREAT, os.O_RDONLY]


def test_descriptors_are_closed(tmp_path):
    before = len(os.listdir('/proc/self/fd'))
    for _ in range(5):
        with locked(tmp_path / 'a.lock', never):
            pass
    assert len(os.listdir('/proc/self/fd')) == before
