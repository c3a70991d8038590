"""Images of files, folders, globs and videos: which, in which order, under which names."""

import os
import re
import warnings
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmroad.files import sources
from mmroad.files.images import ImageError
from mmroad.files.outputs import OUTPUTS, RunFolder
from mmroad.files.sources import LeftOut, Source, frame_count, frame_rate, natural, open_source

CODES = {'.mp4': 'mp4v', '.m4v': 'mp4v', '.avi': 'MJPG', '.mkv': 'VP80', '.webm': 'VP80', '.wmv': 'WMV2',
         '.ts': 'mp4v', '.mpg': 'mp2v', '.mov': 'mp4v'}  # fmt: skip


@pytest.fixture(autouse=True)
def strict():
    with warnings.catch_warnings():
        warnings.simplefilter('error', LeftOut)  # nothing is left out that a test does not expect
        yield


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((16, 32, 3), value, np.uint8))


def video(path, frames=5, code=None, rate=24):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*(code or CODES[path.suffix.lower()])), rate, (64, 48)
    )
    assert writer.isOpened()
    for i in range(frames):
        writer.write(np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    return path


def names(source):
    return [name for name, _ in open_source(source)]


def test_names_are_ordered_as_people_count(tmp_path):
    for name in (
        '10.png',
        '2.png',
        '1.png',
        'b/1.png',
        'a10/1.png',
        'a9/2.png',
        'a9/10.png',
        'a9b.png',
        '01.png',
    ):
        picture(tmp_path / name)
    want = ['01.png', '1.png', '2.png', '10.png', 'a9/2.png', 'a9/10.png', 'a9b.png', 'a10/1.png', 'b/1.png']
    assert names(tmp_path) == want and open_source(tmp_path).total == 9
    assert sorted(['x2', 'x10', 'x', '10x', '9x', ''], key=natural) == ['', '9x', '10x', 'x', 'x2', 'x10']


def test_hidden_files_and_other_files_are_no_images(tmp_path):
    for name in ('a.JPG', '.hidden.png', '.ipynb_checkpoints/a-checkpoint.png', 'x/.cache/b.png'):
        picture(tmp_path / name)
    (tmp_path / '._a.jpg').write_bytes(b'\0\5\x16\7')
    (tmp_path / 'notes.txt').write_text('no image')
    assert names(tmp_path) == ['a.JPG'] and names(tmp_path / '*.JPG') == ['a.JPG']


def test_names_of_a_glob_are_below_the_common_folder(tmp_path):
    for name in ('drives/x/1.jpg', 'drives/y/1.jpg', 'drives/y/z/1.jpg'):
        picture(tmp_path / name)
    assert names(tmp_path / 'drives/*/*.jpg') == ['x/1.jpg', 'y/1.jpg']
    assert names(tmp_path / 'drives/**/*.jpg') == ['x/1.jpg', 'y/1.jpg', 'y/z/1.jpg']
    assert names(f'{tmp_path}/d*/y/*.jpg') == ['1.jpg']
    assert names(tmp_path / 'drives/*') == ['x/1.jpg', 'y/1.jpg', 'y/z/1.jpg']  # folders are searched
    picture(tmp_path / 'a [1]/b[2].png')
    assert names(tmp_path / 'a [1]') == names(tmp_path / 'a [1]/b[2].png') == ['b[2].png']


@pytest.mark.parametrize('suffix', [*CODES, '.MP4', '.divx', '.part', ''])
def test_videos_are_found_by_trying(tmp_path, suffix):
    made = video(tmp_path / f'in{suffix.lower() if suffix in CODES else ".avi"}')
    path = made.rename(tmp_path / f'drive{suffix}')
    assert names(path) == [f'drive_{i:06}.jpg' for i in range(5)]
    assert names(f'{tmp_path}/drive*') == names(path)
    assert frame_rate(path) == pytest.approx(24, abs=0.05)
    if suffix not in ('.part', ''):
        assert names(tmp_path) == names(path)


def test_an_image_without_a_suffix_is_found_by_trying(tmp_path):
    picture(tmp_path / 'a.png')
    path = (tmp_path / 'a.png').rename(tmp_path / 'upload')
    (tmp_path / 'notes').write_text('no image')
    os.mkfifo(tmp_path / 'pipe')  # to be left alone: reading one never ends
    assert names(path) == names(tmp_path) == names(tmp_path / 'up*') == ['upload']


def test_folders_and_globs_of_videos_and_images(tmp_path):
    for name in ('cam1/drive.mp4', 'cam2/drive.mp4', 'cam2/drive.avi'):
        video(tmp_path / name, 2)
    picture(tmp_path / 'cam1/0.png')
    with pytest.raises(
        ValueError, match=r'drive\.(avi|mp4) and .*drive\.(avi|mp4): their frames would have the same'
    ):
        open_source(tmp_path)
    (tmp_path / 'cam2/drive.avi').unlink()
    want = ['cam1/0.png', *(f'cam{k}/drive_00000{i}.jpg' for k in (1, 2) for i in (0, 1))]
    assert names(tmp_path) == want and open_source(tmp_path).total == 5
    assert names(tmp_path / '*/*.mp4') == want[1:]
    assert [(name, [n for n, _ in video]) for name, video in open_source(tmp_path).videos()] == [
        ('cam1', want[:1]), ('cam1/drive', want[1:3]), ('cam2/drive', want[3:])
    ]  # fmt: skip
    picture(tmp_path / 'cam1/drive_000001.jpg')
    with pytest.raises(ValueError, match=r'drive_000001\.jpg has the name of a frame of .*drive\.mp4'):
        open_source(tmp_path)


@pytest.mark.parametrize('name', ['cut.avi', 'cut.mkv', 'cut.webm'])
def test_a_cut_video_gives_its_frames_and_is_told(tmp_path, name):
    path = video(tmp_path / name, 20)
    assert len(names(path)) == frame_count(path) == 20
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_source(path)
    with pytest.warns(LeftOut, match='frames can be read'):
        count = len(list(source))
    assert 2 < count < 18
    ((what, reason),) = source.left_out.items()
    assert what == f'cut from frame {count} on' and f'{name}: {count} of 20 frames' in reason


@pytest.mark.parametrize(
    ('head', 'read', 'clock', 'told'),
    [
        (b'RIFF0000AVI ', 19, 0.1, True),  # its index lists 20
        (b'\0\0\0\x20ftypisom', 19, 0.1, True),
        (b'\x1a\x45\xdf\xa3', 19, 0.1, False),  # 20 is length x rate, rounded
        (b'\x1a\x45\xdf\xa3', 18, 0.1, True),
        (b'\x1a\x45\xdf\xa3', 12, 0.1, True),
        (b'\x1a\x45\xdf\xa3', 12, 0.16, False),  # a rate that varies: the last frame is the end's
        (b'\0\0\1\xba', 19, 0, False),  # a format whose clock does not run
        (b'\0\0\1\xba', 12, 0, True),
        (b'RIFF0000AVI ', 20, 0.1, False),
        (b'RIFF0000AVI ', 21, 0.1, False),
    ],
)
def test_fewer_frames_than_promised(tmp_path, monkeypatch, head, read, clock, told):
    class Capture:
        """A video of 20 frames at 10 a second, by its own account."""

        def __init__(self, path):
            self.count = 0

        def read(self):
            self.count += 1
            return (True, np.zeros((4, 6, 3), np.uint8)) if self.count <= read else (False, None)

        def get(self, key):
            shown = min(self.count, read) - 1
            return {cv2.CAP_PROP_FRAME_COUNT: 20.0, cv2.CAP_PROP_FPS: 10.0}.get(key, 1000 * clock * shown)

        def isOpened(self):
            return True

        def release(self):
            pass

    monkeypatch.setattr(cv2, 'VideoCapture', Capture)
    (tmp_path / 'a.mkv').write_bytes(head)
    source = open_source(tmp_path / 'a.mkv')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', LeftOut)
        assert len(list(source)) == read
    assert bool(source.left_out) == told


@pytest.mark.parametrize(
    ('said', 'count'), [(-1, None), (0, None), (0.5, 0), (1, 1), (7, 7), (1e9 - 1, 10**9 - 1), (1e9, None)]
)
def test_how_many_frames_a_video_says(monkeypatch, said, count):
    monkeypatch.setattr(
        cv2, 'VideoCapture', lambda path: SimpleNamespace(get={cv2.CAP_PROP_FRAME_COUNT: said}.get)
    )
    assert frame_count('a.mp4') == count


@pytest.mark.parametrize(
    ('said', 'rate'), [(-1, 25), (0, 25), (0.5, 0.5), (29.97, 29.97), (1000, 1000), (1000.5, 25)]
)
def test_how_many_frames_a_second_a_video_says(monkeypatch, said, rate):
    monkeypatch.setattr(cv2, 'VideoCapture', lambda path: SimpleNamespace(get={cv2.CAP_PROP_FPS: said}.get))
    assert frame_rate('a.mp4') == rate


def test_a_reason_without_words_is_its_kind():
    source = Source([], Path(), 'a')
    with pytest.warns(LeftOut, match='a.png is left out: ValueError'):
        source.leave_out('a.png', ValueError(' '))
    source.leave_out('a.png', 'another')  # told once
    assert source.left_out == {'a.png': 'ValueError'}


@pytest.mark.parametrize(
    ('head', 'index'),
    [
        *((b'\0\0\0\x08' + kind, True) for kind in (b'ftyp', b'moov', b'mdat', b'wide', b'free')),
        (b'RIFF', True),
        (b'ftyp\0\0\0\0', False),
        (b'\0\0\0\0RIFF', False),
        (b'', False),
    ],
)
def test_formats_that_list_their_frames(tmp_path, head, index):
    (tmp_path / 'a').write_bytes(head)
    assert sources._has_index(tmp_path / 'a') is index


def test_a_video_may_not_say_its_length(tmp_path):
    path = video(tmp_path / 'live.webm', 7)
    content = path.read_bytes()
    place = content.index(
        b'\x44\x89\x88'
    )  # Duration of the segment, as a recording that is streamed lacks it
    path.write_bytes(content[:place] + b'\xec\x81\x00' + b'\xec\x86' + bytes(6) + content[place + 11 :])
    source = open_source(path)
    assert source.total is None and len(list(source)) == 7 and not source.left_out


def test_what_cannot_be_read_is_left_out_once(tmp_path):
    for name in ('1.png', '4.png'):
        picture(tmp_path / name)
    (tmp_path / '2.png').write_bytes(b'')
    (tmp_path / '3.jpg').write_text('<html>')
    (tmp_path / '5.mp4').write_bytes(b'no video')
    source = open_source(tmp_path)
    with pytest.warns(LeftOut) as told:
        assert [name for name, _ in source] == ['1.png', '4.png']
        assert [name for name, _ in source] == ['1.png', '4.png']
    assert list(source.left_out) == ['2.png', '3.jpg', '5'] and len(told) == 3
    assert all(re.search(r'[235]\.(png|jpg|mp4): ', text) for text in source.left_out.values())
    (tmp_path / 'notes').write_text('no image')
    with pytest.warns(LeftOut, match='notes: neither an image nor a video'):
        assert list(open_source(tmp_path / '*').left_out) == ['notes']  # named by the pattern, so it is told


@pytest.mark.parametrize('name', ['a.txt', 'a.mp4', 'a'])
def test_one_file_that_is_neither_is_an_error(tmp_path, name):
    (tmp_path / name).write_text('text')
    with pytest.raises(ImageError, match=f'{name}: not a video or an image'):
        open_source(tmp_path / name)


@pytest.mark.parametrize('source', ['nothing', 'nothing/*.png', 'empty', '*.jpg'])
def test_nothing_there(tmp_path, source):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match=rf'{re.escape(source)}: no image .*\.jpg.* or video .*\.mp4'):
        open_source(tmp_path / source)


@pytest.mark.parametrize('out', ['.', 'out', 'cam/out'])
@pytest.mark.parametrize('pattern', ['', '**/*.*', '*'])
def test_own_outputs_are_no_sources(tmp_path, out, pattern):
    for name in ('cam/1.png', '2.png', 'pictures.png'):
        picture(tmp_path / name)
    want = ['2.png', 'cam/1.png', 'pictures.png']
    for _ in range(3):
        source = open_source(f'{tmp_path}/{pattern}')
        assert [name for name, _ in source] == want
        folder = RunFolder(tmp_path / out, source, ['drive.mp4'], pictures='.jpg')
        for name in want:
            picture(folder.path('pictures', name))
        video(tmp_path / out / 'drive.mp4', 2)
    assert names(tmp_path / out / 'pictures') == [
        '2.jpg',
        'cam/1.jpg',
        'pictures.jpg',
    ]  # unless they are named


def test_outputs_of_several_runs_are_noted(tmp_path):
    picture(tmp_path / '1.png')
    for kind in ('pictures', 'classes'):
        folder = RunFolder(tmp_path, open_source(tmp_path), **{kind: '.png'})
        picture(folder.path(kind, '1.png'))
    assert names(tmp_path) == ['1.png']


def test_an_output_folder_elsewhere_holds_results_alone(tmp_path):
    picture(tmp_path / 'in/1.png')
    RunFolder(tmp_path / 'out', open_source(tmp_path / 'in'), pictures=None)
    assert not (tmp_path / 'out' / OUTPUTS).exists()


def test_results_never_go_where_sources_are(tmp_path):
    for name in ('pictures/1.png', '2.png'):
        picture(tmp_path / name)
    for source in ('', 'pictures', 'pictures/1.png', 'p*/*.png'):
        with pytest.raises(ValueError, match='pictures is where results go, but sources lie in'):
            RunFolder(tmp_path, open_source(tmp_path / source), pictures=None)
    video(tmp_path / 'drive.mp4')
    with pytest.raises(ValueError, match=r'drive\.mp4 would replace its own source'):
        RunFolder(tmp_path, open_source(tmp_path / 'drive.mp4'), ['drive.mp4'])


def test_equal_stems_are_told_before_the_run(tmp_path):
    for name in ('a.jpg', 'a.png', 'b/a.jpg'):
        picture(tmp_path / 'in' / name)
    source = open_source(tmp_path / 'in')
    with pytest.raises(ValueError, match=r'a\.jpg and a\.png would both be written to .*classes/a\.png'):
        RunFolder(tmp_path / 'out', source, classes='.png')
    assert RunFolder(tmp_path / 'out', source, pictures=None).path('pictures', 'a.png').name == 'a.png'
    assert not (tmp_path / 'out').exists()
    picture(tmp_path / 'upload.png')
    (tmp_path / 'upload.png').rename(tmp_path / 'upload')
    folder = RunFolder(tmp_path / 'out', open_source(tmp_path / 'upload'), pictures=None)
    assert folder.path('pictures', 'upload').name == 'upload.jpg'
