"""Downloads against a local server: whole, resumed, cut off, damaged, stalled, gone."""

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mmroad import weights
from mmroad.weights import DownloadError, fetch, imagenet, published

CONTENT = bytes(range(256)) * 40


class Handler(BaseHTTPRequestHandler):
    requests: list = []

    def do_GET(self):
        Handler.requests.append((self.path, self.headers.get('Range')))
        name = self.path.rsplit('/', 1)[-1]
        if name.endswith('.md5'):
            digest = '0' * 32 if 'wrong' in name else hashlib.md5(CONTENT).hexdigest()
            return self.answer(f'{digest}  {name}\n'.encode())
        if 'gone' in name:
            return self.send_error(404)
        if 'stall' in name:
            time.sleep(1.5)
            return None
        start = int((self.headers.get('Range') or 'bytes=0-').split('=')[1].rstrip('-'))
        if start >= len(CONTENT):
            return self.send_error(416)
        body = CONTENT[start:]
        cut = 'cut' in name and start == 0
        self.answer(body[:3000] if cut else body, length=len(body), status=206 if start else 200)
        return None

    def answer(self, body, length=None, status=200):
        self.send_response(status)
        self.send_header('Content-Length', str(length or len(body)))
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


def test_a_mirror_host_comes_first_and_a_mirror_folder_is_used_in_place(server, tmp_path, monkeypatch):
    monkeypatch.setenv('MMROAD_MIRROR', f'{server}/mirror/')
    assert fetch('http://127.0.0.1:9/x.pth', tmp_path / 'x.pth', progress=quiet).read_bytes() == CONTENT
    assert Handler.requests[0][0] == '/mirror/x.pth'
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder/y.pth').write_bytes(b'y')
    monkeypatch.setenv('MMROAD_MIRROR', str(tmp_path / 'folder'))
    assert fetch('http://127.0.0.1:9/y.pth', tmp_path / 'y.pth') == tmp_path / 'folder/y.pth'


def test_published_checkpoints_by_name(server, monkeypatch, tmp_path):
    name = 'retinanet_r50_fpn_3x_det_bdd100k'
    monkeypatch.setenv('MMROAD_MIRROR', server)
    path = published(name)
    assert path == tmp_path / f'home/checkpoints/{name}.pth' and path.read_bytes() == CONTENT
    with pytest.raises(KeyError, match='near: retinanet_r50_fpn_3x_det_bdd100k'):
        published('retinanet_r50_fpn_3x')


def test_imagenet_weights_by_scheme(server, monkeypatch, tmp_path):
    monkeypatch.setenv('MMROAD_MIRROR', str(tmp_path / 'empty'))
    monkeypatch.setattr(weights, 'IMAGENET', {'pvt_tiny.pth': f'{server}/gone-'})
    with pytest.raises(DownloadError, match=r'--cfg-options model\.backbone\.init_cfg=None'):
        imagenet('pvt_tiny.pth')
    with pytest.raises(DownloadError, match='none of the known ImageNet weights'):
        imagenet('vgg.pth')


def test_a_model_starts_from_imagenet_weights_placed_by_hand(monkeypatch, tmp_path):
    import torch

    from mmroad.zoo import get_config

    monkeypatch.setenv('MMROAD_HOME', str(tmp_path))
    cfg = get_config('retinanet_r50_fpn_1x_det_bdd100k')
    from mmengine.registry import MODELS, init_default_scope

    import mmroad.bdd100k.det  # noqa: F401 (registers the imagenet:// scheme)

    init_default_scope('mmdet')
    backbone = MODELS.build(cfg.model.backbone)
    state = {k: torch.full_like(v, 0.125) for k, v in backbone.state_dict().items()}
    (tmp_path / 'imagenet').mkdir()
    torch.save(state | {'fc.weight': torch.zeros(1)}, tmp_path / 'imagenet/resnet50-0676ba61.pth')
    backbone.init_weights()
    assert (backbone.layer3[1].conv2.weight == 0.125).all()
