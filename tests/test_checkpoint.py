"""Checkpoints of mmdet 2.x's form load with nothing left over; files with code in them are refused."""

import argparse
import bz2
import codecs
import gzip
import lzma
import os
import pickle
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import mmroad
from mmroad.zoo.checkpoint import CheckpointError, load_checkpoint, load_state_file, state_dict_of
from mmroad.zoo.class_order import permute_classes
from mmroad.zoo.configs import get_config, list_models
from mmroad.zoo.models import build_model, load_weights, uninitialized

#: One model of each of the 17 groups.
GROUPS = [
    'faster_rcnn_r50_fpn_1x',
    'retinanet_r50_fpn_1x',
    'cascade_rcnn_r50_fpn_1x',
    'fcos_r50_fpn_1x',
    'faster_rcnn_r50_fpn_dconv_1x',
    'libra_faster_rcnn_r50_fpn_1x',
    'faster_rcnn_hrnetv2p_w18_1x',
    'atss_r50_fpn_1x',
    'sparse_rcnn_r50_fpn_1x',
    'atss_r50_fpn_dyhead_1x',
    'faster_rcnn_swin-t_fpn_1x',
    'cascade_rcnn_swin-t_fpn_3x',
    'retinanet_pvt-t_fpn_1x',
    'retinanet_pvtv2-b0_fpn_1x',
    'retinanet_r50_fpn_rsb_1x',
    'faster_rcnn_convnext-t_fpn_fp16_1x',
    'cascade_rcnn_convnext-t_fpn_fp16_1x',
]


def bare(name):
    """The model of a config, not initialized (its values are whatever memory held)."""
    if 'convnext' in name:
        pytest.importorskip('mmpretrain')
        import mmroad.runtime.convnext  # noqa: F401
    with uninitialized():
        return build_model(get_config(f'{name}_det_bdd100k'))


CLASSES = ('pedestrian', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle', 'light', 'sign')


def values_of(model) -> dict:
    """A state dict of the model's keys and shapes whose every tensor has a value of its own, BatchNorm's means and
    variances included."""
    return {
        k: torch.full_like(v, 1 + i / 64) if v.is_floating_point() else v.clone()
        for i, (k, v) in enumerate(model.state_dict().items())
    }


def old_checkpoint(state) -> dict:
    """As mmcv 1.x saved it, with old meta."""
    meta = dict(
        epoch=np.int64(12),
        iter=27390,
        mmdet_version='2.18.1+c0c4ed6',
        config='model = dict(...)',
        CLASSES=CLASSES,
        hook_msgs=dict(best_score=np.float64(0.31)),
        PALETTE=np.zeros((10, 3)),
    )
    return dict(meta=meta, state_dict=state, optimizer=dict(lr=np.float32(0.1)))


@pytest.mark.parametrize('name', GROUPS)
def test_an_old_checkpoint_of_each_group_loads_with_nothing_left_over(name, tmp_path):
    model = bare(name)
    state = values_of(model)
    # no counters and tables that were not buffers then
    saved = {k: v for k, v in state.items() if not k.endswith(('num_batches_tracked', 'integral.project'))}
    torch.save(old_checkpoint(saved), tmp_path / 'old.pth')
    meta = load_checkpoint(model, tmp_path / 'old.pth')
    assert meta['dataset_meta']['classes'] == CLASSES and meta['epoch'] == 12
    loaded = model.state_dict()
    assert loaded.keys() == state.keys()
    assert any(k.endswith('running_var') for k in saved) or re.search('swin|pvt|convnext', name)
    for key, value in saved.items():
        assert torch.equal(loaded[key], value), key
    permute_classes(state, [*range(1, 10), 0])  # the class layers of all are known


def test_init_model_takes_classes_from_the_checkpoint(tmp_path):
    torch.save(old_checkpoint(values_of(bare('faster_rcnn_r50_fpn_1x'))), tmp_path / 'old.pth')
    model = mmroad.init_model('faster_rcnn_r50_fpn_1x_det_bdd100k', tmp_path / 'old.pth')
    assert model.dataset_meta['classes'][9] == 'traffic sign' and not model.training


@pytest.mark.parametrize(
    ('meta', 'classes'),
    [
        (dict(CLASSES=('a', 'b')), ('a', 'b')),
        (
            dict(CLASSES=('a', 'b'), dataset_meta=dict(classes=('c', 'd'), palette=[1])),
            ('c', 'd'),
        ),  # the newer wins
        (dict(CLASSES=('a', 'b'), dataset_meta=None), ('a', 'b')),
        (dict(dataset_meta=dict(CLASSES=['c', 'd'])), ('c', 'd')),
        (dict(CLASSES='car'), ('car',)),
        (dict(CLASSES=np.array(['a', 'b'])), ('a', 'b')),
        (dict(dataset_meta=dict(palette=[1])), None),
        (None, None),
        ('text', None),
        (['epoch', 3], None),
        (3, None),
    ],
)
def test_classes_of_meta_data_of_every_form(tmp_path, meta, classes):
    model = torch.nn.Linear(1, 1)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'a.pth')
    got = load_checkpoint(model, tmp_path / 'a.pth')
    assert (got.get('dataset_meta') or {}).get('classes') == classes
    if isinstance(meta, dict) and isinstance(meta.get('dataset_meta'), dict):
        assert got['dataset_meta'].get('palette') == meta['dataset_meta'].get('palette')


@pytest.mark.parametrize('content', [[1], None, torch.ones(1), 'text', dict(state_dict=[1]), dict(model='x')])
def test_what_is_no_state_dict_is_refused_by_name(tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=r'a\.pth.*, not weights by their names'):
        load_checkpoint(torch.nn.Linear(1, 1), tmp_path / 'a.pth')


def test_one_key_under_two_names_is_refused(tmp_path):
    torch.save({'weight': torch.ones(1), 'module.weight': torch.zeros(1)}, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=r'a\.pth: it has weight twice'):
        load_checkpoint(torch.nn.Linear(1, 1), tmp_path / 'a.pth')


def test_averaged_weights_of_an_ema_hook_replace_the_others():
    content = dict(
        state_dict={
            'backbone.conv1.weight': torch.zeros(2),
            'ema_backbone_conv1_weight': torch.ones(2),
            'module.neck.bias': torch.ones(1),
        }
    )
    state = state_dict_of(content)
    assert set(state) == {'backbone.conv1.weight', 'neck.bias'} and state['backbone.conv1.weight'].all()
    assert not state_dict_of(content, ema=False)['backbone.conv1.weight'].any()
    content['state_dict']['ema_other'] = torch.ones(1)
    assert 'ema_other' in state_dict_of(content)  # an average of nothing is left over, not dropped


@pytest.mark.slow
def test_a_checkpoint_for_another_model_names_the_keys_and_what_it_fits(tmp_path):
    other = bare('retinanet_pvtv2-b0_fpn_1x')
    torch.save(dict(state_dict=other.state_dict()), tmp_path / 'other.pth')
    with pytest.raises(CheckpointError) as caught:
        load_weights(
            bare('faster_rcnn_r50_fpn_1x'),
            get_config('faster_rcnn_r50_fpn_1x_det_bdd100k'),
            tmp_path / 'other.pth',
        )
    message = str(caught.value)
    assert 'missing: backbone.conv1.weight' in message and 'left over: backbone.layers.0' in message
    assert 'It fits: retinanet_pvtv2-b0_fpn_1x_det_bdd100k, retinanet_pvtv2-b0_fpn_3x_det_bdd100k.' in message


def test_another_number_of_classes_is_named(tmp_path):
    model = bare('faster_rcnn_r50_fpn_1x')
    state = model.state_dict()
    state['roi_head.bbox_head.fc_cls.weight'] = torch.zeros(81, 1024)
    torch.save(state, tmp_path / 'coco.pth')
    with pytest.raises(
        CheckpointError, match=r'fc_cls\.weight: \(81, 1024\) in the file, \(11, 1024\) in the model'
    ):
        load_checkpoint(model, tmp_path / 'coco.pth')


class Trap:
    """Unpickling this would write a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


class Call:
    """Unpickling this would call a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('kind', ['pth', 'old_pth', 'pkl'])
def test_a_malicious_file_is_refused_without_running_it(tmp_path, kind):
    sign = tmp_path / 'was_run'
    content = dict(state_dict=dict(w=torch.zeros(1)), meta=Trap(sign))
    path = tmp_path / ('bad.pkl' if kind == 'pkl' else 'bad.pth')
    if kind == 'pkl':
        path.write_bytes(pickle.dumps(dict(model=Trap(sign))))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == 'pth')
    with pytest.raises(CheckpointError, match='not weights alone.*Nothing in it was run'):
        load_state_file(path)
    assert not sign.exists()
    load_state_file(path, trust=True)
    assert sign.exists()


@pytest.mark.parametrize(
    ('function', 'named'),
    [
        (os.system, r'posix\.system'),
        (eval, r'(builtins|__builtin__)\.eval'),
        (os.mkdir, r'posix\.mkdir'),
        (codecs.encode, r'encode with|codecs\.encode'),
        (np.save, r'numpy\.save'),
    ],
)
def test_what_a_pickle_wants_to_call_is_named(tmp_path, function, named):
    sign = tmp_path / 'sign'
    argument = {os.system: f'touch {sign}', eval: f'open({str(sign)!r}, "w")'}.get(function, str(sign))
    more = {codecs.encode: ('zlib',), np.save: ([1],)}.get(function, ())
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(dict(model=Call(function, argument, *more)), 2))
    with pytest.raises(
        CheckpointError, match=rf'a\.pkl is not weights alone: it holds an object of ({named})'
    ):
        load_state_file(path)
    assert not sign.exists()


def test_a_name_that_pickle_itself_would_not_write_is_refused_too(tmp_path):
    sign, path = tmp_path / 'sign', tmp_path / 'a.pkl'
    content = pickle.dumps(dict(model=Call(os.system, f'touch {sign}')), 2)
    path.write_bytes(content.replace(b'cposix\nsystem', b'cos\nsystem'))
    with pytest.raises(CheckpointError, match=r'it holds an object of os\.system'):
        load_state_file(path)
    assert not sign.exists()


@pytest.mark.parametrize('suffix', ['pth', 'pkl'])
def test_other_objects_are_named_and_no_trust_is_advised(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    torch.save(dict(args=argparse.Namespace(a=1)), path)
    if suffix == 'pkl':
        path.write_bytes(pickle.dumps(dict(args=argparse.Namespace(a=1))))
    with pytest.raises(CheckpointError, match=r'holds an object of argparse\.Namespace') as caught:
        load_state_file(path)
    assert 'trust' not in str(caught.value) and 'add_safe_globals' not in str(caught.value)
    assert load_state_file(path, trust=True)['args'].a == 1


@pytest.mark.parametrize('name', ['w.pkl', 'w.pth', 'w.bin'])
def test_pickles_of_numpy_arrays_are_read_whatever_their_name(tmp_path, name):
    arrays = dict(model={'w': np.arange(6, dtype=np.float32).reshape(2, 3)}, __author__='someone')
    for protocol in range(6):
        (tmp_path / name).write_bytes(pickle.dumps(arrays, protocol=protocol))
        assert (load_state_file(tmp_path / name)['model']['w'] == arrays['model']['w']).all()


@pytest.mark.parametrize('name', ['w.pkl', 'w.pth', 'w.safetensors'])
@pytest.mark.parametrize('form', ['zip', 'old', 'safetensors'])
def test_the_content_says_how_a_file_is_read(tmp_path, name, form):
    path, content = tmp_path / name, dict(w=torch.arange(3.0))
    if form == 'safetensors':
        save_file(content, path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == 'zip')
    assert torch.equal(load_state_file(path)['w'], content['w'])


def test_files_without_checksums_are_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(dict(w=torch.arange(3.0)), tmp_path / 'a.pth')
    finally:
        torch.serialization.set_crc32_options(True)
    assert load_state_file(tmp_path / 'a.pth')['w'].sum() == 3


def scripted(path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path)


def archive(path, **options):
    with zipfile.ZipFile(path, 'w', **options) as file:
        file.writestr('weights/best.pth', b'x')
        file.writestr('read me.txt', b'x')


def packed(path):
    torch.save(dict(w=torch.ones(9)), path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        for name, part in parts.items():
            file.writestr(name, part)


def tarred(path):
    (path.parent / 'inside.pth').write_bytes(b'x')
    with tarfile.open(path, 'w') as file:
        file.add(path.parent / 'inside.pth', 'inside.pth')


WRONG = {
    'empty': (b'', r'is empty \(0 bytes\)'),
    'page': (b'<!DOCTYPE html>\n<html><title>Sign in</title>', r'is a web page \(HTML\) \("Sign in"\)'),
    'page_with_mark': (
        b'\xef\xbb\xbf\r\n  <HTML lang="en">',
        r'is a web page \(HTML\): the link leads to a page',
    ),
    'page_utf16': ('\ufeff<html>'.encode('utf-16-le'), 'is a web page'),
    'page_with_comment': (b'<!-- x -->\n<!doctype HTML>', 'is a web page'),
    'xml': (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', 'is XML .*AccessDenied'),
    'json': (b'{"message": "Not Found"}', 'is text, no file of weights: .*Not Found'),
    'lfs': (
        b'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 12345\n',
        'is a Git LFS pointer to a file of 12,345 bytes.*git lfs pull',
    ),
    'annex': (b'/annex/objects/SHA256E-s1--2.pth\n', 'is a git-annex pointer'),
    'gzip': (gzip.compress(b'x' * 99, mtime=0), 'is compressed with gzip: unpack it with gzip -d'),
    'bzip2': (bz2.compress(b'x' * 99), 'is compressed with bzip2'),
    'xz': (lzma.compress(b'x' * 99), 'is compressed with xz'),
    'zeros': (bytes(9000), 'is 4096 zero bytes at its beginning'),
    'noise': (bytes(range(200, 256)) * 40, 'is no file of weights: it begins with the bytes c8 c9'),
    'npy': (b'\x93NUMPY\x01\x00', 'is one NumPy array'),
    'hdf5': (b'\x89HDF\r\n', 'is an HDF5 file'),
    'png': (b'\x89PNG\r\n', 'is a PNG image'),
    'archive': (archive, r'is a zip archive of weights/best\.pth, read me\.txt, not a file of torch\.save'),
    'packed': (packed, r'is no file of torch\.save, which compresses nothing'),
    'tar': (tarred, r'is a tar archive \(its first file is inside\.pth\)'),
    'script': (scripted, 'is a TorchScript program'),
    'zip_begin': (b'PK\x03\x04' + bytes(500), 'is cut off or damaged: a zip of 504 bytes'),
}


@pytest.mark.parametrize('suffix', ['.pth', '.pkl', '.safetensors'])
@pytest.mark.parametrize('what', WRONG)
def test_a_file_that_is_no_checkpoint_is_called_what_it_is(tmp_path, what, suffix):
    path = tmp_path / f'model{suffix}'
    make, message = WRONG[what]
    path.write_bytes(make) if isinstance(make, bytes) else make(path)
    with pytest.raises(CheckpointError, match=rf'model{suffix} {message}') as caught:
        load_state_file(path)
    assert 'trust' not in str(caught.value)


def test_damaged_and_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint at'):
        load_state_file(tmp_path / 'none.pth')
    with pytest.raises(FileNotFoundError, match='a folder, not a checkpoint'):
        load_state_file(tmp_path)
    torch.save(dict(w=torch.zeros(100)), tmp_path / 'cut.pth')
    (tmp_path / 'cut.pth').write_bytes((tmp_path / 'cut.pth').read_bytes()[:300])
    with pytest.raises(CheckpointError, match=r'cut\.pth is cut off or damaged'):
        load_state_file(tmp_path / 'cut.pth')


def small_files(folder):
    content = dict(
        state_dict=dict(w=torch.arange(64.0), b=torch.ones(8)), meta=dict(epoch=np.int64(3), x='text')
    )
    torch.save(content, folder / 'zip.pth')
    torch.save(content, folder / 'old.pth', _use_new_zipfile_serialization=False)
    (folder / 'arrays.pkl').write_bytes(pickle.dumps(dict(model=dict(w=np.arange(64.0), b=np.ones(8)))))
    save_file(content['state_dict'], folder / 'w.safetensors')
    return sorted(folder.iterdir())


def mutated(content, random):
    """A cut, a flip, a run of other bytes, a piece twice or left out."""
    kind, place = random.integers(5), int(random.integers(len(content)))
    end = place + int(random.integers(1, 64))
    other = bytes(random.integers(0, 256, end - place, dtype=np.uint8))
    flipped = bytes([content[place] ^ (1 << int(random.integers(8)))])
    return (
        content[:place],
        content[:place] + flipped + content[place + 1 :],
        content[:place] + other + content[end:],
        content[:end] + content[place:],
        content[:place] + content[end:],
    )[kind]


def test_mutated_files_are_refused_by_name_or_read(tmp_path):
    """No error without the path, whatever a reader meets."""
    random, refused = np.random.default_rng(0), 0
    for path in small_files(tmp_path):
        content = path.read_bytes()
        for _ in range(150):
            path.write_bytes(mutated(content, random))
            try:
                load_state_file(path)
            except CheckpointError as error:
                assert str(path) in str(error)
                refused += 1
    assert refused > 300


def test_a_flipped_bit_of_a_zip_is_never_other_weights(tmp_path):
    """torch takes most of them; the checksums in the file are held against its content."""
    path, _ = tmp_path / 'a.pth', torch.manual_seed(0)
    content = dict(state_dict=dict(w=torch.randn(40), n=torch.randn(3)), meta=dict(classes=['a', 'b']))
    torch.save(content, path)
    whole, taken = path.read_bytes(), 0
    for place in range(len(whole)):
        bit = 1 << place % 8
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        try:
            got = load_state_file(path)
        except CheckpointError as error:
            assert str(path) in str(error)
            continue
        taken += 1
        assert got['meta'] == content['meta']
        assert all(torch.equal(got['state_dict'][k], v) for k, v in content['state_dict'].items())
    assert taken < len(whole) // 2  # in the padding and the fields that nobody reads


def test_groups_cover_the_zoo():
    from mmroad.zoo.configs import find_model

    names = {find_model(f'{name}_det_bdd100k')['In Collection'] for name in GROUPS}
    assert names == {find_model(name)['In Collection'] for name in list_models('*_det_bdd100k')}
