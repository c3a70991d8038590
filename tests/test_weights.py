"""Downloads against a local server: whole, resumed, cut off, damaged, stalled, gone."""

import contextlib
import hashlib
import io
import multiprocessing
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import torch

from mmroad.files.file_lock import locked
from mmroad.zoo import weights
from mmroad.zoo.weights import DownloadError, fetch, imagenet, published


def saved(content, **options) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


CONTENT = saved(dict(state_dict=dict(w=torch.arange(2500.0))))


#: Answers under these names, and MD5 files.
OTHER = {
    'page.pth': b'\n <!DOCTYPE html>\n<html><head><title>Just a moment...</title></head>' + b' ' * 5000,
    'pointer.pth': b'version https://git-lfs.github.com/spec/v1\noid sha256:'
    + b'a' * 64
    + b'\nsize 175262413\n',
    'empty.pth': b'',
    'torn.pth': CONTENT[:-3000],
    'flipped.pth': CONTENT[:2000] + bytes([CONTENT[2000] ^ 4]) + CONTENT[2001:],
}
MD5_TEXTS = {
    'none.md5': '',
    'html.md5': '<!DOCTYPE html><html></html>',
    'bsd.md5': f'MD5 (x.pth) = {hashlib.md5(CONTENT).hexdigest().upper()}\n',
    'list.md5': f'{"0" * 32}  other.pth\n{hashlib.md5(CONTENT).hexdigest()} *x.pth\n',
}


class Handler(BaseHTTPRequestHandler):
    requests: list = []

    def do_GET(self):
        Handler.requests.append((self.path, self.headers.get('Range')))
        name = self.path.rsplit('/', 1)[-1]
        if name == 'endless.md5':
            return self.endless(b'', name)
        if name.endswith('.md5'):
            digest = '0' * 32 if 'wrong' in name else hashlib.md5(CONTENT).hexdigest()
            return self.answer(MD5_TEXTS.get(name, f'{digest}  {name}\n').encode())
        if 'gone' in name:
            return self.send_error(404)
        if 'stall' in name:
            time.sleep(1.5)
            return None
        if name in OTHER:
            return self.answer(OTHER[name])
        if name.startswith('endless'):
            return self.endless(CONTENT[:600] if 'zip' in name else b'', name)
        if name.startswith('long'):  # longer than any file of its kind
            return self.answer(b'PK\x03\x04', length=1 << 50)
        if 'slow' in name:
            time.sleep(0.3)
        start = (
            0
            if 'norange' in name
            else int((self.headers.get('Range') or 'bytes=0-').split('=')[1].rstrip('-'))
        )
        if start >= len(CONTENT):
            return self.send_error(416)
        body = CONTENT[start:]
        cut = 'cut' in name and start == 0
        self.answer(body[:3000] if cut else body, length=len(body), status=206 if start else 200)
        return None

    def endless(self, begin, name):
        self.send_response(200)
        self.end_headers()
        block = b'\0' * 100 if 'drip' in name else b'\0' * (1 << 16)
        try:
            self.wfile.write(begin)
            while True:
                self.wfile.write(block)
                time.sleep(0.1 if 'drip' in name else 0)
        except OSError:
            self.close_connection = True

    def answer(self, body, length=None, status=200):
        self.send_response(status)
        self.send_header('Content-Length', str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    Handler.requests = []
    httpd = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    monkeypatch.setenv('MMROAD_HOME', str(tmp_path / 'home'))
    monkeypatch.delenv('MMROAD_MIRROR', raising=False)
    monkeypatch.setattr(weights, 'TIMEOUT', 0.4)
    yield f'http://127.0.0.1:{httpd.server_port}'
    httpd.shutdown()


def quiet(done, total):
    pass


def test_a_file_is_downloaded_once_with_progress_and_md5(server, tmp_path):
    seen = []
    path = fetch(
        f'{server}/a.pth', tmp_path / 'a.pth', f'{server}/a.md5', progress=lambda d, t: seen.append((d, t))
    )
    assert path.read_bytes() == CONTENT and seen[-1] == (len(CONTENT), len(CONTENT))
    count = len(Handler.requests)
    assert fetch(f'{server}/a.pth', path) == path and len(Handler.requests) == count


def test_a_connection_cut_off_is_resumed_in_the_same_call(server, tmp_path):
    path = fetch(f'{server}/cut.pth', tmp_path / 'cut.pth', f'{server}/cut.md5', progress=quiet)
    assert path.read_bytes() == CONTENT
    assert ('/cut.pth', 'bytes=3000-') in Handler.requests


def test_a_partial_file_of_an_earlier_run_is_resumed(server, tmp_path):
    (tmp_path / 'b.pth.part').write_bytes(CONTENT[:5000])
    assert fetch(f'{server}/b.pth', tmp_path / 'b.pth', progress=quiet).read_bytes() == CONTENT
    assert Handler.requests == [('/b.pth', 'bytes=5000-')]


def test_a_partial_file_that_is_whole_is_taken(server, tmp_path):
    (tmp_path / 'b.pth.part').write_bytes(CONTENT)
    assert fetch(f'{server}/b.pth', tmp_path / 'b.pth', progress=quiet).read_bytes() == CONTENT


def test_a_wrong_md5_is_refused_and_nothing_is_kept(server, tmp_path):
    with pytest.raises(DownloadError, match='its checksum is .* published is 0000'):
        fetch(f'{server}/wrong.pth', tmp_path / 'wrong.pth', f'{server}/wrong.md5', progress=quiet)
    assert not list(tmp_path.glob('wrong*'))


def test_the_hash_in_a_name_is_checked(server, tmp_path):
    right = hashlib.sha256(CONTENT).hexdigest()[:8]
    assert fetch(f'{server}/r-{right}.pth', tmp_path / f'r-{right}.pth', progress=quiet).is_file()
    with pytest.raises(DownloadError, match='published is 00000000'):
        fetch(f'{server}/r-00000000.pth', tmp_path / 'r-00000000.pth', progress=quiet)


@pytest.mark.parametrize(('name', 'problem'), [('stall.pth', 'timed out'), ('gone.pth', 'HTTP 404')])
def test_no_answer_says_where_to_place_the_file(server, tmp_path, name, problem):
    with pytest.raises(DownloadError) as caught:
        fetch(f'{server}/{name}', tmp_path / name, progress=quiet)
    message = str(caught.value)
    assert (
        problem in message
        and f'Place the file at {tmp_path / name}' in message
        and 'MMROAD_MIRROR' in message
    )


def test_a_host_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, 'RETRIES', 1)
    with pytest.raises(DownloadError, match='could not be downloaded'):
        fetch('http://127.0.0.1:9/x.pth', tmp_path / 'x.pth', progress=quiet)


def test_a_mirror_host_comes_first_and_alone(server, tmp_path, monkeypatch):
    monkeypatch.setenv('MMROAD_MIRROR', f'{server}/mirror/')
    assert fetch(f'{server}/there/x.pth', tmp_path / 'x.pth', progress=quiet).read_bytes() == CONTENT
    assert [path for path, _ in Handler.requests] == ['/mirror/x.pth']


def test_where_the_mirror_lacks_a_file_its_own_host_is_asked(server, tmp_path, monkeypatch):
    monkeypatch.setenv('MMROAD_MIRROR', f'{server}/gone')
    monkeypatch.setattr(weights, 'RETRIES', 1)
    assert fetch(f'{server}/there/x.pth', tmp_path / 'x.pth', progress=quiet).read_bytes() == CONTENT


def test_a_mirror_folder_is_used_in_place_and_checked(tmp_path, monkeypatch):
    folder = tmp_path / 'folder'
    folder.mkdir()
    for prefix in ('', 'file://'):
        monkeypatch.setenv('MMROAD_MIRROR', f'{prefix}{folder}')
        (folder / 'y.pth').write_bytes(CONTENT)
        monkeypatch.setattr(weights, 'RETRIES', 1)
        assert fetch('http://127.0.0.1:9/y.pth', tmp_path / 'y.pth') == folder / 'y.pth'
        (folder / 'y.md5').write_text('0' * 32)
        with pytest.raises(DownloadError, match='its checksum is .* published is 0000'):
            fetch('http://127.0.0.1:9/y.pth', tmp_path / 'y.pth', 'http://127.0.0.1:9/y.md5', progress=quiet)
        (folder / 'y.pth').write_bytes(OTHER['page.pth'])
        with pytest.raises(DownloadError, match='is a web page'):
            fetch('http://127.0.0.1:9/y.pth', tmp_path / 'y.pth', progress=quiet)


@pytest.mark.parametrize(
    ('name', 'problem'),
    [
        ('page.pth', r'a web page \(HTML\) \("Just a moment..."\)'),
        ('pointer.pth', 'a Git LFS pointer to a file of 175,262,413 bytes'),
        ('empty.pth', r'empty \(0 bytes\)'),
        ('torn.pth', 'cut off or damaged: a zip of'),
        ('flipped.pth', 'does not have the checksum that was saved with it'),
        ('long.pth', 'it is announced with .* the file has at most 20,000'),
        ('endless_zeros.pth', 'zero bytes'),
        ('endless_zip.pth', 'it goes on after 20,000 bytes'),
        ('endless_zip_drip.pth', 'too slow to end'),
    ],
)
def test_what_is_no_file_of_weights_is_refused_and_not_kept(server, tmp_path, monkeypatch, name, problem):
    monkeypatch.setattr(weights, 'RETRIES', 1)
    folder = tmp_path / 'cache'
    with pytest.raises(DownloadError, match=problem) as caught:
        fetch(f'{server}/{name}', folder / name, progress=quiet, limit=20_000)
    assert f'Place the file at {folder / name}' in str(caught.value)
    left = list(folder.iterdir())
    assert sum(p.stat().st_size for p in left) <= 20_000 + (1 << 20) and not (folder / name).exists()
    if 'drip' not in name:  # a slow one may go on another time
        assert not [p for p in left if p.name.endswith('.part')]


@pytest.mark.parametrize(
    ('name', 'problem'),
    [('none', r'empty \(0 bytes\)'), ('html', 'a web page'), ('endless', '4096 zero bytes')],
)
def test_a_file_of_an_md5_without_one_is_refused(server, tmp_path, name, problem):
    with pytest.raises(DownloadError, match=rf'there is no MD5 in .*{name}.md5: it is {problem}'):
        fetch(f'{server}/x.pth', tmp_path / 'x.pth', f'{server}/{name}.md5', progress=quiet)
    assert not (tmp_path / 'x.pth').exists()


@pytest.mark.parametrize('name', ['bsd', 'list'])
def test_md5_files_of_other_forms_are_read(server, tmp_path, name):
    assert fetch(f'{server}/x.pth', tmp_path / 'x.pth', f'{server}/{name}.md5', progress=quiet).is_file()


def test_a_server_that_starts_anew_gives_the_whole_file_once(server, tmp_path):
    (tmp_path / 'norange.pth.part').write_bytes(CONTENT[:5000])
    assert fetch(f'{server}/norange.pth', tmp_path / 'norange.pth', progress=quiet).read_bytes() == CONTENT
    assert Handler.requests == [('/norange.pth', 'bytes=5000-')]


def test_only_what_begins_where_asked_goes_on():
    for status, headers, goes_on in (
        (206, {'Content-Range': 'bytes 50-99/100'}, True),
        (206, {'Content-Range': 'bytes 0-99/100'}, False),
        (206, {}, True),
        (200, {'Content-Range': 'bytes 50-99/100'}, False),
        (200, {}, False),
    ):
        assert weights._goes_on(SimpleNamespace(status=status, headers=headers), 50) is goes_on


def test_tries_are_further_and_further_apart(tmp_path, monkeypatch):
    asked, waits = [], []

    def gone(request, timeout):
        asked.append(timeout)
        raise OSError('gone')

    monkeypatch.setattr(weights.urllib.request, 'urlopen', gone)
    monkeypatch.setattr(weights.time, 'sleep', waits.append)
    with pytest.raises(OSError, match=r'gone \(3 tries\)'):
        weights._download('http://localhost/x.pth', tmp_path / 'x.part', quiet, 10)
    assert asked == [20] * 3 and waits == pytest.approx([0.2, 0.4])  # none after the last


def test_no_file_is_begun_that_does_not_fit_the_disk(server, tmp_path, monkeypatch):
    disk = weights.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        weights.shutil, 'disk_usage', lambda path: disk._replace(total=10**6, free=10**5 + 9000)
    )
    with pytest.raises(DownloadError, match=r'no room for it in .*: 0\.0 MiB are to come, 0\.1 MiB are free'):
        fetch(f'{server}/x.pth', tmp_path / 'x.pth', progress=quiet)
    assert len(Handler.requests) == 1 and not (tmp_path / 'x.pth.part').exists()


def _fetch_elsewhere(url, path, start, answers):
    start.wait()
    try:
        answers.put(fetch(url, path, progress=quiet).read_bytes() == CONTENT)
    except Exception as error:
        answers.put(repr(error))


def test_processes_that_want_one_file_download_it_once(server, tmp_path):
    context = multiprocessing.get_context('fork')
    start, answers = context.Event(), context.Queue()
    path = tmp_path / 'new/slow.pth'
    crowd = [
        context.Process(target=_fetch_elsewhere, args=(f'{server}/slow.pth', path, start, answers))
        for _ in range(5)
    ]
    for process in crowd:
        process.start()
    start.set()
    assert [answers.get(timeout=60) for _ in crowd] == [True] * 5
    for process in crowd:
        process.join()
    assert len(Handler.requests) == 1
    assert [p.name for p in path.parent.iterdir()] == ['slow.pth']


def test_a_download_that_stands_still_is_not_waited_for(server, tmp_path, monkeypatch):
    """Its process was stopped, or hangs on another machine: one downloads a part of one's own."""
    monkeypatch.setattr(weights, 'TIMEOUT', 0.05)
    (tmp_path / 'x.pth.part').write_bytes(b'begun')
    with locked(tmp_path / '.x.pth.lock', lambda waited: False) as held:
        assert held
        assert fetch(f'{server}/x.pth', tmp_path / 'x.pth', progress=quiet).read_bytes() == CONTENT
    assert (tmp_path / 'x.pth.part').read_bytes() == b'begun'
    assert sorted(p.name for p in tmp_path.iterdir()) == ['.x.pth.lock', 'x.pth', 'x.pth.part']


def test_who_comes_when_all_is_done_leaves_no_lock(server, tmp_path, monkeypatch):
    """Another process ended between the look for the file and the lock, whose file is then made anew."""

    @contextlib.contextmanager
    def late(path, wait):
        (tmp_path / 'x.pth').write_bytes(CONTENT)
        with locked(path, wait) as held:
            yield held

    monkeypatch.setattr(weights, 'locked', late)
    fetch(f'{server}/x.pth', tmp_path / 'x.pth', progress=quiet)
    assert [p.name for p in tmp_path.iterdir()] == ['x.pth']


def test_what_a_killed_process_began_is_gone_on_with(server, tmp_path):
    def die():
        with locked(tmp_path / '.x.pth.lock', lambda waited: False):
            (tmp_path / 'x.pth.part').write_bytes(CONTENT[:5000])
            os.kill(os.getpid(), 9)

    process = multiprocessing.get_context('fork').Process(target=die)
    process.start()
    process.join()
    assert fetch(f'{server}/x.pth', tmp_path / 'x.pth', progress=quiet).read_bytes() == CONTENT
    assert Handler.requests == [('/x.pth', 'bytes=5000-')]


def test_published_checkpoints_by_name(server, monkeypatch, tmp_path):
    name = 'retinanet_r50_fpn_3x_det_bdd100k'
    monkeypatch.setenv('MMROAD_MIRROR', server)
    path = published(name)
    assert path == tmp_path / f'home/checkpoints/{name}.pth' and path.read_bytes() == CONTENT
    with pytest.raises(KeyError, match='near: retinanet_r50_fpn_3x_det_bdd100k'):
        published('retinanet_r50_fpn_3x')


def test_a_published_checkpoint_has_the_size_of_its_model_at_most(server, monkeypatch):
    monkeypatch.setenv('MMROAD_MIRROR', server)
    monkeypatch.setattr(weights, 'RETRIES', 1)
    entry = dict(Weights=f'{server}/there/long.pth', Metadata=dict(Parameters='2.5M'))
    monkeypatch.setattr('mmroad.zoo.weights.find_model', lambda name: entry)
    with pytest.raises(DownloadError, match='the file has at most 107,108,864'):  # 2.5e6 * 16 + 64 MiB
        published('small')
    monkeypatch.setattr(weights, 'IMAGENET', {'long.pth': f'{server}/'})
    with pytest.raises(DownloadError, match='the file has at most 1,073,741,824'):
        imagenet('long.pth')


def test_imagenet_weights_by_scheme(server, monkeypatch, tmp_path):
    monkeypatch.setenv('MMROAD_MIRROR', str(tmp_path / 'empty'))
    monkeypatch.setattr(weights, 'IMAGENET', {'pvt_tiny.pth': f'{server}/gone-'})
    with pytest.raises(DownloadError, match=r'--cfg-options model\.backbone\.init_cfg=None'):
        imagenet('pvt_tiny.pth')
    with pytest.raises(DownloadError, match='none of the known ImageNet weights'):
        imagenet('vgg.pth')


def test_a_model_starts_from_imagenet_weights_placed_by_hand(monkeypatch, tmp_path):
    from mmroad.zoo.configs import get_config

    monkeypatch.setenv('MMROAD_HOME', str(tmp_path))
    cfg = get_config('retinanet_r50_fpn_1x_det_bdd100k')
    from mmengine.registry import MODELS, init_default_scope

    import mmroad.bdd100k.det  # noqa: F401

    init_default_scope('mmdet')
    backbone = MODELS.build(cfg.model.backbone)
    state = {k: torch.full_like(v, 0.125) for k, v in backbone.state_dict().items()}
    (tmp_path / 'imagenet').mkdir()
    torch.save(state | {'fc.weight': torch.zeros(1)}, tmp_path / 'imagenet/resnet50-0676ba61.pth')
    backbone.init_weights()
    assert (backbone.layer3[1].conv2.weight == 0.125).all()
