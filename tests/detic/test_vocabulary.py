"""Vocabularies: files, names, other classes at test time on every variant, zero-shot BDD100K."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample

import mmroad.detic  # noqa: F401 (registers)
from mmroad.bdd100k.scalabel import DET_CLASSES
from mmroad.detic.make_vocabulary import make_vocabulary
from mmroad.detic.text_encoder import from_names
from mmroad.detic.vocabulary import (
    Vocabulary,
    classifier_matrix,
    load_embeddings,
    load_vocabulary,
    own_columns,
    plain_name,
    read_names,
    save_vocabulary,
    vocabulary_matrix,
)
from mmroad.zoo.configs import get_config
from mmroad.zoo.models import build_model

ROOT = Path(__file__).parents[2]
SHARED = ROOT / '../shared/data/class_embeddings'
FILES = dict(
    coco='coco_clip_a+cname.npy',
    lvis='lvis_v1_clip_a+cname.npy',
    objects365='o365_clip_a+cnamefix.npy',
    openimages='oid_clip_a+cname.npy',
)
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason='the published embeddings are not here')
SIZE = dict(batch_input_shape=(64, 96), pad_shape=(64, 96))
ZERO_SHOT = 'Detic_LCOCOI21k_CLIP_R18_640b32_4x_ft4x_max-size_zero_shot_bdd100k'


def vocabulary(names, seed=0):
    return Vocabulary(
        tuple(names), torch.randn(len(names), 512, generator=torch.Generator().manual_seed(seed))
    )


def test_known_names_have_their_data_sets_sizes():
    assert [len(read_names(n)) for n in ('coco', 'lvis', 'objects365')] == [80, 1203, 365]
    with pytest.raises(FileNotFoundError, match='neither a file nor one of coco, lvis, objects365'):
        read_names('pascal')


def test_files_keep_names_in_their_order(tmp_path):
    words = vocabulary(['zebra', 'ant', 'moth'])
    save_vocabulary(words, tmp_path / 'words.safetensors')
    again = load_vocabulary(tmp_path / 'words.safetensors')
    assert again.names == words.names and torch.equal(again.embeddings, words.embeddings)
    assert load_vocabulary(tmp_path / 'words.safetensors', 'moth').embeddings.equal(words.embeddings[2:])
    np.save(tmp_path / 'words.npy', words.embeddings.T.numpy())
    (tmp_path / 'names.txt').write_text('zebra\nant\nmoth\n')
    assert load_vocabulary(tmp_path / 'words.npy', tmp_path / 'names.txt').names == words.names
    categories = [dict(id=9, name='moth'), dict(id=1, name='zebra'), dict(id=3, name='ant')]
    (tmp_path / 'names.json').write_text(json.dumps(dict(categories=categories)))
    assert read_names(tmp_path / 'names.json') == words.names
    for content in (b'["ant", "z\xa2"]', b'[' * 100_000, b'["ant"'):
        (tmp_path / 'names.json').write_bytes(content)
        with pytest.raises(ValueError, match='names.json: not JSON'):
            read_names(tmp_path / 'names.json')


def test_vocabularies_are_made_from_sources_by_name(tmp_path):
    one, two = vocabulary(['person', 'Traffic_Light'], 1), vocabulary(['person', 'bus'], 2)
    save_vocabulary(one, tmp_path / 'one.safetensors')
    np.save(tmp_path / 'two.npy', two.embeddings.numpy())
    (tmp_path / 'two.txt').write_text('person\nbus')
    weight = classifier_matrix(vocabulary(['rider', 'wall'], 3).embeddings)
    state = {'roi_head.bbox_head.0.fc_cls.zs_weight': weight}
    torch.save(
        dict(state_dict=state, meta=dict(dataset_meta=dict(classes=('rider', 'wall')))), tmp_path / 'a.pth'
    )
    sources = [
        str(tmp_path / 'one.safetensors'),
        f'{tmp_path / "two.npy"}:{tmp_path / "two.txt"}',
        str(tmp_path / 'a.pth'),
    ]
    made, origin = make_vocabulary('pedestrian=person, bus ,traffic light,rider', sources)
    assert made.names == ('pedestrian', 'bus', 'traffic light', 'rider')
    want = torch.stack([one.embeddings[0], two.embeddings[1], one.embeddings[1], weight[:, 0]])
    assert made.embeddings.allclose(F.normalize(want, dim=1), atol=1e-6)
    assert origin[1] == f'{sources[1]} #1 bus'
    with pytest.raises(ValueError, match=r'in no source: busses \(near: bus\); moth \(near: none\)'):
        make_vocabulary('person,busses,moth', sources)
    with pytest.raises(ValueError, match='more than once: bus'):
        make_vocabulary('bus,person,Bus', sources)
    with pytest.raises(ValueError, match='more than once: person'):
        make_vocabulary('*', sources)

    def encode(texts):
        assert texts == ['a stop sign']
        return torch.ones(1, 512)

    made, origin = make_vocabulary('person,stop_sign', sources, encode)
    assert made.embeddings[1].allclose(torch.full((512,), 512**-0.5))


def test_encoded_names_are_cached_on_disk(tmp_path, monkeypatch):
    from mmroad.detic import text_encoder

    calls = []

    def encoder():
        return lambda texts: calls.append(texts) or torch.arange(512.0).repeat(len(texts), 1)

    monkeypatch.setitem(text_encoder._ENCODERS, 'open_clip', encoder)
    first, again = (from_names('bus, traffic_light', cache=tmp_path) for _ in range(2))
    assert calls == [['a bus', 'a traffic light']] and first.embeddings.equal(again.embeddings)


def test_places_name_rows_of_files_and_columns_of_the_model(tmp_path):
    words = vocabulary(['zebra', 'ant'])
    save_vocabulary(words, tmp_path / 'w.safetensors')
    np.save(tmp_path / 'w.npy', words.embeddings.numpy())
    own = classifier_matrix(vocabulary(['x', 'y', 'z'], 5).embeddings)
    spec = dict(a=f'{tmp_path}/w.npy#1', b=f'{tmp_path}/w.safetensors#zebra', c='#2', d='#y')
    matrix = vocabulary_matrix(spec, own, ['x', 'y', 'z'])
    unit = F.normalize(words.embeddings, dim=1)
    assert matrix.allclose(
        torch.stack([unit[1], unit[0], own[:, 2], own[:, 1], torch.zeros(512)], 1), atol=1e-6
    )
    with pytest.raises(ValueError, match="class 'q': #7: there are 3 rows"):
        vocabulary_matrix(dict(q='#7'), own)
    with pytest.raises(ValueError, match="class 'q': #lynx: no class 'lynx'; the names are not known"):
        vocabulary_matrix(dict(q='#lynx'), own)
    with pytest.raises(ValueError, match='load a checkpoint first'):
        vocabulary_matrix(dict(q='#0'), torch.full((512, 3), torch.nan))
    assert own_columns(dict(a='#2', b='#y'), 3, ['x', 'y', 'z']) == [2, 1]
    with pytest.raises(ValueError, match='b: this model has a learned classifier of 3 classes'):
        own_columns(dict(a='#2', b='f.npy#0'), 3)


def small_model(config, options):
    cfg = get_config(config)
    cfg.merge_from_dict(options)
    return build_model(cfg).eval()


def predict(model, **meta):
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    sample = DetDataSample(
        metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96), scale_factor=(1.0, 1.0), **SIZE, **meta)
    )
    with torch.no_grad():
        return model.predict(image, [sample])[0].pred_instances


def test_names_are_compared_without_blanks_around_them():
    own = classifier_matrix(vocabulary(['traffic light', 'ant']).embeddings)
    for place in ('# Traffic_Light ', '#traffic light', '#0'):
        assert vocabulary_matrix(dict(a=place), own, ['traffic light', ' ant '])[:, 0].allclose(own[:, 0])
    assert own_columns(dict(a='#ant'), 2, ['traffic light', ' ant ']) == [1]
    assert plain_name('speaker_(stero_equipment)') == plain_name('speaker (stereo equipment)')


def test_names_of_another_number_of_rows_are_of_no_use():
    own = classifier_matrix(vocabulary('abc').embeddings)
    for names in (['a', 'b'], ['z', 'a', 'b', 'c']):
        with pytest.raises(
            ValueError, match="class 'q': #b: no class 'b'; the names are not known: give the row"
        ):
            vocabulary_matrix(dict(q='#b'), own, names)


C4 = {
    'model.roi_head.bbox_head.num_classes': 3,
    'model.backbone.depth': 50,
    'model.test_cfg.rcnn.score_thr': -1.0,
    'model.test_cfg.rpn.max_per_img': 20,
}


def test_c4_is_tested_on_another_vocabulary_by_a_flag(tmp_path):
    save_vocabulary(vocabulary('abcdefg'), tmp_path / 'w.safetensors')
    path = str(tmp_path / 'w.safetensors')
    model = small_model('BoxSup_OVCOCO_CLIP_R50_1x', {**C4, 'model.vocabulary': path})
    found = predict(model)
    assert int(found.labels.max()) == 6
    assert model.class_names_of(model.vocabulary) == tuple('abcdefg')
    model.vocabulary = None
    with pytest.raises(RuntimeError, match='no class embeddings'):
        predict(model)
    model.set_vocabulary(load_vocabulary(path))  # for good, the same result
    assert predict(model).scores.allclose(found.scores)
    with pytest.raises(ValueError, match="vocabulary 'none' is neither a file nor among"):
        small_model('BoxSup_OVCOCO_CLIP_R50_1x', {'model.vocabulary': 'none'})


def test_detr_is_tested_on_a_choice_of_its_classes():
    spec = dict(street=dict(walker='#person', lamp='#0'))
    options = {
        'model.vocabularies': spec,
        'model.vocabulary': 'street',
        'model.encoder.num_layers': 1,
        'model.decoder.num_layers': 1,
        'model.num_queries': 10,
        'model.test_cfg.max_per_img': 10 * 1203,
        'model.bbox_head.loss_cls.image_counts': None,
    }
    model = small_model('BoxSup-DeformDETR_L_R50_4x', options)
    model.init_weights()  # or the embedding of the levels is what memory held
    found = predict(model)
    model.init_vocabularies(None, ['person', 'aerosol_can'], 'lvis')  # as --cfg-options gives a comma list
    assert predict(model).scores.allclose(found.scores)
    assert model.class_names_of(model.vocabulary) == ('person', 'aerosol_can')
    model.init_vocabularies(None, 'person, lynx', 'lvis')
    with pytest.raises(ValueError, match="no class 'lynx'; it is none of 1203 names"):
        predict(model)
    model.vocabularies, model.vocabulary = {}, None
    every = predict(model)
    assert len(every) == 10 * 1203 and len(found) == 20
    person = read_names('lvis').index('person')
    for mine, own in ((0, person), (1, 0)):
        assert found.scores[found.labels == mine].allclose(every.scores[every.labels == own])


@needs_shared
def test_published_embeddings_swap_and_agree_where_names_do():
    model = small_model(
        'BoxSup-C2_LCOCO_CLIP_R18_640b32_4x',
        {
            'model.roi_head.bbox_head.fc_out_channels': 64,
            'model.test_cfg.rcnn.score_thr': -1.0,
            'model.test_cfg.rcnn.nms.iou_threshold': 1.0,
            'model.test_cfg.rcnn.masks': False,
            'model.test_cfg.rcnn.max_per_img': 10**6,
            'model.test_cfg.rpn.max_per_img': 4,
            'model.test_cfg.rpn.score_thr': 0.0,
            'model.vocabularies': {k: str(SHARED / f) for k, f in FILES.items()},
        },
    )
    found = {name: predict(model, vocabulary=name) for name in FILES}
    sizes = dict(coco=80, lvis=1203, objects365=365, openimages=500)
    assert {name: int(r.labels.max()) + 1 for name, r in found.items()} == sizes

    def scores(name, row):
        return found[name].scores[found[name].labels == row].sort().values

    # pedestrian's, car's and bicycle's rows in COCO, Objects365 and OpenImages
    for coco, o365, oid in ((0, 0, 338), (2, 5, 63), (1, 46, 130)):
        assert scores('coco', coco).allclose(scores('objects365', o365), atol=1e-3)
        assert scores('coco', coco).allclose(scores('openimages', oid), atol=1e-3)
    assert not scores('coco', 9).allclose(
        scores('lvis', 1111), atol=1e-3
    )  # traffic_light kept its underscore


@needs_shared
def test_bdd100k_vocabulary_of_nine_and_a_supplied_tenth(tmp_path):
    rider = vocabulary(['rider'])
    save_vocabulary(rider, tmp_path / 'rider.safetensors')
    sources = [f'{SHARED / FILES[n]}:{n}' for n in ('coco', 'objects365')]
    names = ','.join(DET_CLASSES).replace('pedestrian', 'pedestrian=person')
    with pytest.raises(ValueError, match='in no source: rider'):
        make_vocabulary(names, sources)
    made, origin = make_vocabulary(names, [*sources, str(tmp_path / 'rider.safetensors')])
    assert made.names == tuple(DET_CLASSES)
    config = dict(get_config(ZERO_SHOT).model.vocabularies.bdd100k)
    config = {
        k: v.replace('data/embeddings', str(SHARED)).replace('#16885', f'{tmp_path}/rider.safetensors#0')
        for k, v in config.items()
    }
    own = torch.zeros(512, 4)
    assert vocabulary_matrix(config, own).allclose(classifier_matrix(made.embeddings), atol=1e-6)
    rows = dict(zip(DET_CLASSES, [338, None, 63, 67, 168, 257, 431, 130, 395, 359]))  # in OpenImages
    oid = F.normalize(load_embeddings(SHARED / FILES['openimages']), dim=1)
    for i, (name, row) in enumerate(rows.items()):
        assert row is None or float(made.embeddings[i] @ oid[row]) > 0.9999, name


def test_zero_shot_bdd100k_writes_what_the_official_evaluator_reads(tmp_path):
    """The documented command on two made frames with untrained weights and made embeddings."""
    frames, rng = [], np.random.default_rng(0)
    for i in range(2):
        cv2.imwrite(str(tmp_path / f'{i}.jpg'), rng.integers(0, 255, (72, 128, 3), np.uint8))
        box = dict(x1=10, y1=10, x2=60, y2=50)
        frames.append(dict(name=f'{i}.jpg', labels=[dict(id=str(i), category='car', box2d=box)]))
    (tmp_path / 'gt.json').write_text(json.dumps(frames))
    nine = [n for n in DET_CLASSES if n != 'rider']
    save_vocabulary(vocabulary(nine), tmp_path / 'nine.safetensors')
    spec = {n: f'{tmp_path}/nine.safetensors#{n}' for n in DET_CLASSES} | dict(rider='#7')
    options = {
        'model.roi_head.bbox_head.num_classes': 20,
        'model.roi_head.bbox_head.fc_out_channels': 32,
        'model.vocabularies.bdd100k': spec,
        'model.test_cfg.rcnn.score_thr': 0.0,
        'test_dataloader.dataset.data_root': f'{tmp_path}/',
        'test_dataloader.dataset.ann_file': 'gt.json',
        'test_dataloader.dataset.data_prefix.img': '',
        'test_dataloader.dataset.pipeline.1.scale': (256, 144),
        'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
    }
    model = small_model(ZERO_SHOT, options)
    for head in model.roi_head.bbox_head:
        head.fc_cls.set_weight(classifier_matrix(vocabulary('abcdefghijklmnopqrst', 3).embeddings))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    cfg = get_config(ZERO_SHOT)
    cfg.merge_from_dict(options)
    cfg.dump(tmp_path / 'config.py')
    command = [sys.executable, 'tools/test.py', tmp_path / 'config.py', tmp_path / 'model.pth']
    command += ['--format-only', '--format-dir', tmp_path / 'out', '--work-dir', tmp_path / 'work']
    done = subprocess.run(map(str, command), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    written = json.loads((tmp_path / 'out/det.json').read_text())['frames']
    assert [f['name'] for f in written] == ['0.jpg', '1.jpg']
    categories = {label['category'] for f in written for label in f['labels']}
    assert categories and categories <= set(DET_CLASSES)
    command = [sys.executable, '-m', 'bdd100k.eval.run', '-t', 'det', '-g', tmp_path / 'gt.json']
    command += ['-r', tmp_path / 'out/det.json', '--out-file', tmp_path / 'scores.json', '--quiet']
    done = subprocess.run(map(str, command), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'AP' in json.loads((tmp_path / 'scores.json').read_text())
