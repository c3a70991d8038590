"""Files appear whole or not at all, and what killed processes left goes."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from mmroad.files import replacing, write_json
from mmroad.files.replacing import is_no_room, own_name, remove_dead_parts


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / 'deep' / 'a.json'
    write_json(path, [1])
    with pytest.raises(KeyError), replacing(path) as part:
        part.write_text('half')
        assert path.read_text() == '[1]\n'
        raise KeyError
    assert path.read_text() == '[1]\n'
    with replacing(path, durable=True) as part:
        assert part.suffix == '.json' and part.parent == path.parent
        part.write_text('new')
    assert [p.name for p in path.parent.iterdir()] == ['a.json'] and path.read_text() == 'new'


def test_two_writers_of_one_file_have_parts_of_their_own(tmp_path):
    with replacing(tmp_path / 'a') as one, replacing(tmp_path / 'a') as two:
        assert one != two
        one.write_text('one')
        two.write_text('two')
    assert (tmp_path / 'a').read_text() == 'one'  # the outer block ends last


def test_parts_of_dead_processes_are_removed_and_others_stay(tmp_path):
    code = f"""
import os
from mmroad.files import replacing
with replacing({str(tmp_path / 'a.txt')!r}) as part:
    part.write_text('half')
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, '-c', code])
    (dead,) = tmp_path.iterdir()
    assert dead.name.startswith('.part-')
    alive = tmp_path / dead.name.replace(dead.name.split('-')[2], str(os.getppid()))
    elsewhere = tmp_path / '.part-anotherhost-1-0-a.txt'
    for path in (alive, elsewhere):
        path.write_text('half')
    with replacing(tmp_path / 'a.txt') as part:
        part.write_text('whole')
    assert {p.name for p in tmp_path.iterdir()} == {'a.txt', alive.name, elsewhere.name}


WRITERS = dict(
    plain=lambda part, values: part.write_bytes(values.tobytes()),
    numpy=lambda part, values: np.savez(open(part, 'wb'), values),
    torch=lambda part, values: torch.save(torch.from_numpy(values), part),
    safetensors=lambda part, values: save_file(dict(values=values), part),
)


@pytest.mark.parametrize('writer', WRITERS)
def test_no_room_names_the_file_and_leaves_nothing(tmp_path, writer):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / 'epoch_1.pth'
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        with pytest.raises(OSError, match='no room.*epoch_1.pth') as error, replacing(path) as part:
            WRITERS[writer](part, np.zeros(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error.value.errno in (errno.EFBIG, errno.ENOSPC) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'content',
    [
        dict(name='Straße', values=[1, 2.5, None, True], inner=dict(a=[])),
        [1e300, -0.0, 2**70, 'null'],
        dict(score=np.float64(0.5), names=('a', 'b')),
        {1: 'a', 2: 'b'},
        ['\udce9.jpg'],  # a file name that is no UTF-8
    ],
)
def test_json_is_what_it_was(tmp_path, content):
    for indent in (None, 1):
        write_json(tmp_path / 'a.json', content, indent=indent)
        text = (tmp_path / 'a.json').read_text(encoding='utf-8')
        assert json.loads(text) == json.loads(json.dumps(content)) and text.endswith('\n')
        assert ('\n ' in text) == (indent is not None)


def test_json_without_nan(tmp_path):
    for value in (float('inf'), np.float64('nan'), [None, float('nan')], dict(a='null', b=float('nan'))):
        with pytest.raises(ValueError, match='JSON'):
            write_json(tmp_path / 'a.json', dict(value=value))
    with pytest.raises(ValueError, match='JSON'):
        write_json(tmp_path / 'a.json', [float('nan')])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', ['a' * 246 + '.json', '\u8857' * 83 + '.json'])
def test_names_as_long_as_a_file_system_takes(tmp_path, name):
    write_json(tmp_path / name, [1])
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_no_room_says_how_much_was_written_and_is_free(tmp_path, monkeypatch):
    disk = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: disk._replace(free=3 << 20))
    path = tmp_path / 'a.bin'
    with pytest.raises(OSError) as caught, replacing(path) as part:
        part.write_bytes(bytes(3 << 19))
        raise OSError(errno.EDQUOT, 'quota')
    assert (caught.value.errno, caught.value.filename) == (errno.EDQUOT, str(path))
    assert '1.5 MiB of it were written, 3.0 MiB are free' in str(caught.value)
    with pytest.raises(OSError, match=r'0\.0 MiB of it were written') as caught, replacing(path):
        raise RuntimeError('[enforce fail at inline_container.cc:672]')  # torch's, which has no number
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize(
    ('error', 'no_room'),
    [
        *((OSError(number, 'text'), True) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)),
        (OSError(errno.EACCES, 'PytorchStreamWriter'), False),
        (RuntimeError('PytorchStreamWriter failed writing file'), True),
        (RuntimeError('unexpected pos 64 vs 0'), True),
        (RuntimeError('basic_ios::clear: iostream error'), True),
        (ValueError('I/O error: No space left on device (os error 28)'), True),
        (ValueError('I/O error: Permission denied (os error 13)'), False),
        (RuntimeError('another error'), False),
    ],
)
def test_errors_for_want_of_room_are_told_from_others(tmp_path, error, no_room):
    assert is_no_room(error) is no_room
    with pytest.raises(Exception) as caught, replacing(tmp_path / 'a') as part:  # noqa: B017
        part.write_text('half')
        raise error
    assert (caught.value is error) is not no_room and not list(tmp_path.iterdir())


def dead(name: str) -> str:
    """A part's name of a process that is no more."""
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    return own_name(name).replace(f'-{os.getpid()}-', f'-{process.pid}-')


def test_folders_of_the_dead_go_too_and_links_do_not_lead_elsewhere(tmp_path):
    kept = tmp_path / 'kept'
    kept.mkdir()
    (kept / 'a.txt').write_text('a')
    place = tmp_path / 'place'
    place.mkdir()
    (place / dead('folder')).mkdir()
    (place / dead('link')).symlink_to(kept)
    (place / f'x{dead("a")}').write_text('another name')
    own = place / own_name('a.txt')
    own.write_text('this process is alive')
    remove_dead_parts(place)
    assert {p.name for p in place.iterdir()} == {own.name, next(place.glob('x*')).name}
    assert [p.name for p in kept.iterdir()] == ['a.txt']
    later = place / dead('b.txt')
    later.write_text('left after the look')
    remove_dead_parts(place)  # once a process and folder
    assert later.exists()


def test_processes_of_others_are_alive(tmp_path, monkeypatch):
    path = tmp_path / dead('a')
    path.write_text('half')

    def not_mine(pid, signal):
        assert signal == 0
        raise PermissionError

    monkeypatch.setattr(os, 'kill', not_mine)
    remove_dead_parts(tmp_path)
    assert path.exists()


def test_names_of_parts_differ_and_end_as_the_file(tmp_path):
    one, two = own_name('a' * 99 + '.json'), own_name('a' * 99 + '.json')
    assert one != two and one.startswith('.part-') and one.endswith('-' + 'a' * 35 + '.json')
    assert own_name('a.b').endswith('-a.b')


def test_json_is_indented_where_asked(tmp_path):
    write_json(tmp_path / 'a.json', dict(a=[1]), indent=2)
    assert (tmp_path / 'a.json').read_text() == '{\n  "a": [\n    1\n  ]\n}\n'
