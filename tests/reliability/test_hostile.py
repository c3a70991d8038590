"""No way that reads weights runs what is in them: every hostile file through every way."""

import hashlib
import os
import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from mmengine.config import ConfigDict
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
import hostile

import mmroad.converters
from mmroad.abet.schedules import SnapshotTransferHook
from mmroad.converters import convert_file
from mmroad.detic.make_vocabulary import classifier_of
from mmroad.zoo import loader, weights
from mmroad.zoo.checkpoint import CheckpointError, load_checkpoint, load_state_file
from mmroad.zoo.weights import DownloadError, published

NAME = 'retinanet_r50_fpn_3x_det_bdd100k'


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('hostile')
    return hostile.write_hostile(folder / 'files', folder / 'signs')


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv('MMROAD_HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path / 'mmengine'))
    monkeypatch.delenv('MMROAD_MIRROR', raising=False)
    monkeypatch.setattr(weights, 'RETRIES', 1)
    return tmp_path / 'home'


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(files):
    folder = next(iter(files)).parent
    httpd = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{httpd.server_port}'
    httpd.shutdown()


def refuse_all(files, read, kinds=(CheckpointError,)):
    """``read`` refuses each file by its name and makes no sign."""
    for path, sign in files.items():
        with pytest.raises(kinds) as caught:
            read(path)
        assert path.stem in str(caught.value) or 'placed' in str(caught.value), caught.value
        assert not sign.exists(), path


def test_there_are_many_and_they_do_run_where_nobody_takes_care(files, tmp_path):
    assert len(files) >= 200 and len({p.name for p in files}) == len(files)
    signs = {}
    ran = set()
    for path, sign in files.items():
        signs.setdefault(path.name.split('-')[0], []).append(sign)
        if path.name.split('-')[1] in ('zip', 'pickle', 'legacy'):
            try:
                load_state_file(path, trust=True)
            except Exception:  # what comes after it ran
                pass
            if sign.exists():
                ran.add(path.name.split('-')[0])
                shutil.rmtree(sign) if sign.is_dir() else sign.unlink()
    assert ran == set(signs)


def test_by_their_reader(files):
    refuse_all(files, load_state_file)


def test_odd_headers_and_sizes_are_refused_by_name(tmp_path):
    for path in hostile.write_odd(tmp_path):
        with pytest.raises(CheckpointError, match=path.name):
            load_state_file(path)


def test_by_a_model_of_the_zoo(files):
    refuse_all(files, lambda path: load_checkpoint(nn.Linear(1, 1), path))


def test_by_the_converters(files, tmp_path, monkeypatch):
    monkeypatch.setattr(mmroad.converters, 'build', lambda config: nn.Linear(1, 1))
    refuse_all(files, lambda path: convert_file('rba', path, tmp_path / 'out.pth'))
    assert not (tmp_path / 'out.pth').exists()


def test_by_vocabularies_and_snapshots(files):
    refuse_all(files, classifier_of)

    class Runner:
        _resume, model = False, nn.Linear(1, 1)

    refuse_all(files, lambda path: SnapshotTransferHook(str(path)).before_train(Runner))


def mmengine_reads(name):
    from mmengine.runner.checkpoint import CheckpointLoader

    return CheckpointLoader.load_checkpoint(str(name), map_location='cpu')


@pytest.mark.parametrize('prefix', ['', 'file://', 'http://', 'HTTP://'])
def test_by_mmengines_loader(files, home, server, prefix):
    start = server.replace('http://', prefix) if 'tt' in prefix.lower() else None
    kinds = (CheckpointError, DownloadError)  # what is no form of weights is not kept
    refuse_all(files, lambda p: mmengine_reads(f'{start}/{p.name}' if start else f'{prefix}{p}'), kinds)


#: A name by prefix, and the file of the cache that it stands for.
NAMES = {
    'imagenet://resnet50-0676ba61.pth': 'imagenet/resnet50-0676ba61.pth',
    'torchvision://resnet50': 'imagenet/resnet50-0676ba61.pth',
    'modelzoo://resnet50': 'imagenet/resnet50-0676ba61.pth',
    'open-mmlab://detectron2/resnet50_caffe': 'imagenet/resnet50_msra-5891d200.pth',
    'openmmlab://resnet50_caffe': None,
    'mmcls://resnet18': None,
}


def place_of(name, home, monkeypatch):
    """Where a name's file is in the cache."""
    if NAMES[name]:
        return home / NAMES[name]
    with monkeypatch.context() as patch:
        patch.setattr(weights, 'fetch', lambda url, path, **_: path)
        return loader.locate(name)


@pytest.mark.parametrize('name', NAMES)
def test_by_names_of_every_prefix(files, home, monkeypatch, name):
    """With files that were placed in the cache by hand, which are used as they are."""
    place = place_of(name, home, monkeypatch)
    assert home in place.parents
    place.parent.mkdir(parents=True)

    def read(path):
        shutil.copy(path, place)
        try:
            mmengine_reads(name)
        except CheckpointError as error:
            assert place.name in str(error)
            raise CheckpointError(f'placed: {error}') from error

    refuse_all(files, read)
    torch.save({'backbone.w': torch.ones(1)}, place)
    assert [v.item() for v in (lambda c: c.get('state_dict', c))(mmengine_reads(name)).values()] == [1.0]


@pytest.mark.parametrize('trick', ['zip', 'legacy', 'pickle'])
def test_by_initial_weights_of_models(files, home, trick):
    """mmengine's own, and a backbone that reads its file itself."""
    from mmdet.models.backbones import PyramidVisionTransformer, ResNet, SwinTransformer

    few = {
        p: s for p, s in files.items() if f'-{trick}-' in p.name and ('eval' in p.name or 'getattr' in p.name)
    }
    assert len(few) >= 4

    def start(path):
        init_cfg = ConfigDict(type='Pretrained', checkpoint=str(path))
        for build in (
            lambda: ResNet(
                18, num_stages=1, out_indices=(0,), strides=(1,), dilations=(1,), init_cfg=init_cfg
            ),
            lambda: SwinTransformer(
                8, depths=(1,), num_heads=(1,), strides=(4,), out_indices=(0,), init_cfg=init_cfg
            ),
        ):
            with pytest.raises(CheckpointError):
                build().init_weights()
        PyramidVisionTransformer(
            embed_dims=8,
            num_stages=1,
            num_layers=[1],
            num_heads=[1],
            patch_sizes=[4],
            strides=[4],
            sr_ratios=[8],
            mlp_ratios=[2],
            out_indices=(0,),
            init_cfg=init_cfg,
        ).init_weights()

    refuse_all(few, start)


def test_published_by_a_mirror(files, home, tmp_path, monkeypatch):
    mirror = tmp_path / 'mirror'
    mirror.mkdir()
    monkeypatch.setenv('MMROAD_MIRROR', str(mirror))

    def read(path):
        shutil.copy(path, mirror / f'{NAME}.pth')
        (mirror / f'{NAME}.md5').write_text(hashlib.md5(path.read_bytes()).hexdigest())
        try:
            load_checkpoint(nn.Linear(1, 1), published(NAME))
        except (CheckpointError, DownloadError) as error:
            raise CheckpointError(f'placed: {error}') from error

    refuse_all(files, read)


@pytest.mark.parametrize(
    'name', ['s3://b/a.pth', 'open-mmlab:s3://b/a.pth', 'petrel://b/a.pth', 'pavi://a', 'hf://a']
)
def test_other_prefixes_are_refused(name):
    with pytest.raises(ValueError, match=r'weights are not read from .*what is read: paths, http://'):
        mmengine_reads(name)


PROGRAMS = [
    'import os',
    'x = open({0!r}, "w")',
    'x = [1, dict(y=open({0!r}, "w"))]',
    'x = {{**__import__("os").environ}}',
    'x: int = open({0!r}, "w")',
    '_base_ = "/tmp/other.py"',
    'custom_imports = dict(imports=["antigravity"])',
    'x = f"{{open({0!r}, chr(119))}}"',
    'x = lambda: 0',
    'x = dict(**dict(a=1))',
    'def f(): pass',
    'x.y = 1',
    'x = ' + '(' * 5000,
]


@pytest.mark.parametrize('program', PROGRAMS)
def test_config_texts_in_a_checkpoint_are_values_or_left_out(tmp_path, program):
    """mmengine runs them: on resume, and to build a model from weights alone."""
    text = program.format(str(tmp_path / 'sign')) if '{0' in program or '{{' in program else program
    info = dict(cfg=text, loss=1.0)
    meta = dict(config=text, cfg=text, epoch=1)
    torch.save(dict(state_dict={}, meta=meta, message_hub=dict(runtime_info=info)), tmp_path / 'a.pth')
    content = mmengine_reads(tmp_path / 'a.pth')
    assert content['meta'] == dict(epoch=1) and content['message_hub']['runtime_info'] == dict(loss=1.0)


def test_the_zoos_own_config_texts_are_kept(tmp_path):
    text = mmroad.get_config('faster_rcnn_r18_fpn_quickstart').pretty_text
    __import__('mmroad.bdd100k.det')
    torch.save(dict(state_dict={}, meta=dict(config=text)), tmp_path / 'a.pth')
    assert mmengine_reads(tmp_path / 'a.pth')['meta']['config'] == text


def test_trust_is_for_all_prefixes_and_is_taken_back(files, home):
    path, sign = next((p, s) for p, s in files.items() if p.name.startswith('os_system-zip'))
    loader.install_safe_loader(trust=True)
    try:
        loader.install_safe_loader()  # as importing another module does
        mmengine_reads(f'file://{path}')
        assert sign.exists()
        sign.unlink()
    finally:
        loader.install_safe_loader(trust=False)
    with pytest.raises(CheckpointError):
        mmengine_reads(path)
    assert not sign.exists()


def test_whoever_imports_mmroad_has_the_reader(files):
    """In either order, through a config's imports too, and whatever others have allowed torch to unpickle."""
    import subprocess

    path, sign = next((p, s) for p, s in files.items() if p.name.startswith('through_the_log-zip'))
    read = f"""
import torch
torch.serialization.add_safe_globals([getattr, (eval, 'builtins.eval')])
from mmengine.runner.checkpoint import CheckpointLoader
try:
    CheckpointLoader.load_checkpoint({str(path)!r})
except ValueError as error:
    assert 'not weights alone' in str(error), error
    assert getattr in torch.serialization.get_safe_globals()
    print('refused')
"""
    for first in ('import mmengine.runner; import mmroad', 'import mmroad.bdd100k.scalabel'):
        env = {**os.environ, 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD': '1'}
        done = subprocess.run(
            [sys.executable, '-c', f'{first}\n{read}'], capture_output=True, text=True, env=env
        )
        assert done.stdout.endswith('refused\n'), done.stderr
        assert not sign.exists()


@pytest.mark.slow
def test_nothing_that_a_config_names_reads_weights_by_itself():
    """torch.load of a third party would be guarded by torch's own default alone."""
    import inspect
    import re

    def types(node):
        if isinstance(node, dict):
            yield from (value for key, value in node.items() if key == 'type' and isinstance(value, str))
            node = node.values()
        for value in node if not isinstance(node, str) and hasattr(node, '__iter__') else ():
            yield from types(value)

    configs = [mmroad.get_config(name) for name in mmroad.list_models()]
    named = {name.rpartition('.')[2] for config in configs for name in types(config.to_dict())}
    for module in {
        name for config in configs for name in (config.get('custom_imports') or {}).get('imports', ())
    }:
        __import__(module)
    __import__('mmdet.models'), __import__('mmseg.models')
    found = [
        cls
        for library in ('mmdet', 'mmseg', 'mmengine')
        for name in named
        if (cls := __import__(f'{library}.registry', fromlist=['MODELS']).MODELS.get(name)) is not None
    ]
    assert len(found) > 100
    reads = re.compile(r'torch\.load\(|load_url\(|load_state_dict_from_url|from_pretrained\(|torch\.hub\.')
    by_itself = {
        cls
        for cls in found
        if inspect.isclass(cls) and reads.search(inspect.getsource(inspect.getmodule(cls)))
    }
    assert not by_itself
