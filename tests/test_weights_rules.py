"""The rules of a download, without a network: sizes, tries, waiting, room."""

import errno
import http.client
import itertools
import urllib.error
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmroad.zoo import weights

ZIP = b'PK\x03\x04' + bytes(2000)


class Answer:
    """What a server sends, in blocks; an exception among them is raised there."""

    def __init__(self, blocks, status=200, length=None, **headers):
        self.blocks, self.status = iter(blocks), status
        self.headers = {key.replace('_', '-').title(): value for key, value in headers.items()}
        if length is not None:
            self.headers['Content-Length'] = str(length)

    def read1(self, size):
        block = next(self.blocks, b'')
        if isinstance(block, Exception):
            raise block
        return block

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


@pytest.fixture
def download(tmp_path, monkeypatch):
    """Downloads what servers answer, one after the other: (requests' ranges, waits, progress)."""
    monkeypatch.setattr(weights.time, 'sleep', lambda seconds: waits.append(seconds))
    waits, ranges, seen = [], [], []
    part = tmp_path / 'x.part'

    def run(*answers, limit=10_000):
        answers = iter(answers)

        def urlopen(request, timeout):
            ranges.append(request.headers.get('Range'))
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(weights.urllib.request, 'urlopen', urlopen)
        weights._download(
            'http://localhost/x.pth', part, lambda done, total: seen.append((done, total)), limit
        )
        return part.read_bytes()

    return SimpleNamespace(run=run, part=part, waits=waits, ranges=ranges, seen=seen)


def test_a_length_that_is_not_told_ends_with_the_connection(download, monkeypatch):
    rooms = []
    monkeypatch.setattr(weights, '_make_sure_of_room', lambda part, size: rooms.append(size))
    assert download.run(Answer([ZIP[:600], ZIP[600:]])) == ZIP
    assert download.seen == [(600, None), (len(ZIP), None)] and download.ranges == [None]
    assert rooms == [0, 0, 0]  # before, and after each block


def test_room_for_what_is_to_come_is_looked_for_once(download, monkeypatch):
    rooms = []
    monkeypatch.setattr(weights, '_make_sure_of_room', lambda part, size: rooms.append(size))
    download.part.write_bytes(ZIP[:700])
    assert download.run(Answer([ZIP[700:1000], ZIP[1000:]], 206, length=len(ZIP) - 700)) == ZIP
    assert download.ranges == ['bytes=700-'] and rooms == [len(ZIP) - 700]
    assert download.seen == [(1000, len(ZIP)), (len(ZIP), len(ZIP))]


def test_a_server_that_starts_anew_is_followed_from_the_start(download):
    download.part.write_bytes(b'x' * 700)
    assert download.run(Answer([ZIP], 200, length=len(ZIP))) == ZIP
    assert download.seen == [(len(ZIP), len(ZIP))]


@pytest.mark.parametrize('told', [False, True])
def test_as_many_bytes_as_the_file_has_at_most(download, told):
    length = len(ZIP) if told else None
    assert download.run(Answer([ZIP], length=length), limit=len(ZIP)) == ZIP
    download.part.unlink()
    with pytest.raises(ValueError, match=f'{len(ZIP) - 1:,} bytes, the most|at most {len(ZIP) - 1:,}'):
        download.run(Answer([ZIP], length=length), limit=len(ZIP) - 1)


@pytest.mark.parametrize(
    ('blocks', 'seen'), [((512,), 0), ((511, 1), 1), ((511, 400), 1), ((200, 200, 200), 2), ((511,), 1)]
)
def test_what_is_no_file_of_weights_ends_with_the_first_512_bytes(download, blocks, seen):
    raised = pytest.raises(ValueError, match='what comes is') if sum(blocks) > 511 else None
    answer = Answer([b'<' * n for n in blocks] + [b'<' * 99] * (sum(blocks) > 511))
    if raised:
        with raised:
            download.run(answer)
    else:
        download.run(answer)  # too short to tell: the whole file is looked at when it is there
    assert len(download.seen) == seen


def test_the_head_is_looked_at_once(download, monkeypatch):
    heads = []
    monkeypatch.setattr(weights, '_refuse_other_files', lambda part: heads.append(part.stat().st_size))
    download.run(Answer([ZIP[:300], ZIP[300:600], ZIP[600:700], ZIP[700:]]))
    assert heads == [600]


def test_a_cut_connection_is_gone_on_with_three_times_in_all(download):
    cut = [Answer([ZIP[:600]], length=len(ZIP)), Answer([ZIP[600:900]], 206, length=len(ZIP) - 600)]
    whole = Answer([ZIP[900:]], 206, length=len(ZIP) - 900)
    assert download.run(*cut, whole) == ZIP
    assert download.ranges == [None, 'bytes=600-', 'bytes=900-'] and download.waits == [0.2, 0.4]
    download.part.unlink()
    cuts = [Answer([ZIP[:600]], length=len(ZIP)), *(Answer([], 206, length=len(ZIP) - 600) for _ in range(2))]
    with pytest.raises(OSError, match=rf'the connection ended at 600 of {len(ZIP)} bytes \(3 tries\)'):
        download.run(*cuts)


@pytest.mark.parametrize(
    ('error', 'text'),
    [
        (urllib.error.URLError('no such host'), r'no such host \(3 tries\)'),
        (http.client.IncompleteRead(b''), r'IncompleteRead.*\(3 tries\)'),
        (TimeoutError(), r'TimeoutError \(3 tries\)'),
    ],
)
def test_what_failed_is_said(download, error, text):
    with pytest.raises(OSError, match=text):
        download.run(error, error, error)


def test_an_answer_of_an_error_is_not_tried_again(download):
    def error(code):
        return urllib.error.HTTPError('http://localhost/x.pth', code, 'reason', {}, None)

    for code in (404, 416):  # 416 without a part of the file
        with pytest.raises(OSError, match=f'HTTP {code} reason'):
            download.run(error(code))
    download.part.write_bytes(ZIP)
    assert download.run(error(416)) == ZIP  # there is no more
    with pytest.raises(OSError, match='HTTP 500'):
        download.run(error(500))
    assert download.waits == []


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_is_not_tried_again(download, number):
    with pytest.raises(weights._NoRoom, match='no room for it: .*text'):
        download.run(Answer([OSError(number, 'text')]))
    assert download.ranges == [None] and not download.waits


def test_sizes_that_servers_say():
    def of(length):
        return SimpleNamespace(headers={} if length is None else {'Content-Length': length})

    assert weights._total_of(of(None), 5) is None
    assert weights._total_of(of('12'), 0) == 12 and weights._total_of(of(' 12 '), 5) == 17
    for length in ('-1', '1.5', 'many'):
        with pytest.raises(ValueError, match=f'it has {length!r} bytes'):
            weights._total_of(of(length), 0)


@pytest.mark.parametrize(
    ('seconds', 'blocks', 'fails'),
    [(21, [1024 * 21] * 2, False), (21, [1024 * 21, 1024 * 21 - 1], True), (20, [1], False)],
)
def test_a_kilobyte_a_second_is_quick_enough(monkeypatch, seconds, blocks, fails):
    clock = itertools.accumulate(itertools.cycle([0, seconds]))  # a look before and one after each block
    monkeypatch.setattr(weights.time, 'monotonic', lambda: next(clock))
    found = weights._blocks(Answer(map(bytes, blocks)))
    if fails:
        with pytest.raises(TimeoutError, match=f'{blocks[-1]} bytes in {seconds} s: too slow to end'):
            list(found)
    else:
        assert len(list(found)) == len(blocks)


def test_a_download_of_another_process_is_waited_for_while_it_grows(tmp_path, capsys):
    part, patience = tmp_path / 'x.pth.part', weights.RETRIES * 3 * weights.TIMEOUT
    watch = weights._Watch(part)
    assert patience == 180 and watch(0.5) and watch(1) and capsys.readouterr().out == ''
    part.write_bytes(b'1')
    assert watch(100)  # it has grown
    assert capsys.readouterr().out == f'waiting for another process that downloads {tmp_path}/x.pth\n'
    assert watch(100 + patience - 1) and not watch(100 + patience)
    part.write_bytes(b'12')
    assert watch(1000) and not watch(1000 + patience) and capsys.readouterr().out == ''
    assert weights._Watch(tmp_path / 'none')(patience - 1) and not weights._Watch(tmp_path / 'none')(patience)


@pytest.mark.parametrize(
    ('total', 'reserve'), [(100 << 30, 1 << 30), (10 << 30, 1 << 30), (5 << 30, (5 << 30) // 10), (1009, 100)]
)
def test_a_tenth_of_the_disk_or_a_gigabyte_stays_free(tmp_path, monkeypatch, total, reserve):
    free = reserve + 50
    monkeypatch.setattr(weights.shutil, 'disk_usage', lambda path: SimpleNamespace(total=total, free=free))
    weights._make_sure_of_room(tmp_path / 'x', 50)
    with pytest.raises(weights._NoRoom, match=f'of which {reserve / 2**20:.1f} MiB stay free'):
        weights._make_sure_of_room(tmp_path / 'x', 51)


def test_the_largest_size_of_a_model():
    assert weights._largest_size('2.5M') == 2_500_000 * 16 + (64 << 20)
    assert weights._largest_size(None) == weights._largest_size('') == weights.LIMIT == 8 << 30
    assert weights.IMAGENET_LIMIT == 1 << 30


def test_files_of_imagenet_and_of_models_lie_in_folders_of_their_own(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(weights, 'fetch', lambda url, path, **more: calls.append((url, path, more)))
    monkeypatch.setenv('MMROAD_HOME', str(tmp_path))
    weights.imagenet('some/where/pvt_tiny.pth')
    ((url, path, more),) = calls
    assert url == 'https://github.com/whai362/PVT/releases/download/v2/pvt_tiny.pth'
    assert path == tmp_path / 'imagenet/pvt_tiny.pth' and more['limit'] == 1 << 30
    entry = dict(Weights='http://localhost/a/b.pth', WeightsMD5='http://localhost/a/b.md5')
    monkeypatch.setattr(weights, 'find_model', lambda name: entry)
    weights.published('name')
    assert calls[1] == (
        entry['Weights'], tmp_path / 'checkpoints/b.pth', dict(md5_url=entry['WeightsMD5'], limit=weights.LIMIT)
    )  # fmt: skip
    monkeypatch.setattr(weights, 'find_model', lambda name: {})
    with pytest.raises(weights.DownloadError, match='name has no published weights'):
        weights.published('name')
    monkeypatch.delenv('MMROAD_HOME')
    assert weights.home() == Path.home() / '.cache/mmroad'


@pytest.mark.parametrize('begin', ['', 'file://'])
def test_every_place_that_was_tried_is_said(tmp_path, monkeypatch, begin):
    monkeypatch.setenv('MMROAD_MIRROR', f'{begin}{tmp_path}/mirror/')
    with pytest.raises(weights.DownloadError) as caught:
        weights.fetch(f'file://{tmp_path}/none/x.pth', tmp_path / 'cache/x.pth', hint='Or that.')
    assert str(caught.value).splitlines() == [
        'x.pth could not be downloaded:',
        f'  {begin}{tmp_path}/mirror/x.pth: no such file',
        f'  file://{tmp_path}/none/x.pth: no such file',
        f'Place the file at {tmp_path}/cache/x.pth, or set MMROAD_MIRROR to a host or folder that has it. Or that.',
    ]
