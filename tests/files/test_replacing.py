"""Files appear whole or not at all, and what killed processes left goes."""

import errno
import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from mmroad.files import replacing, write_json


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
