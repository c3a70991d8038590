"""The inferencer and its tool on made images with untrained weights."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask

from mmroad.commands import main
from mmroad.detic.vocabulary import Vocabulary, classifier_matrix, save_vocabulary
from mmroad.files.sources import Item, LeftOut
from mmroad.inference.build import inferencer
from mmroad.inference.coco_results import ResultWriter, match_images
from mmroad.inference.detection import Detections
from mmroad.inference.open_vocabulary import DeticInferencer
from mmroad.zoo.configs import get_config
from mmroad.zoo.models import init_model

CONFIG = 'BoxSup-C2_LCOCO_CLIP_R18_640b32_4x'
CLASSES = ('road cone', 'dog', 'zebra', 'kite')


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A config of a small model, its checkpoint with named classes, and two images."""
    root = tmp_path_factory.mktemp('inference')
    cfg = get_config(CONFIG)
    cfg.merge_from_dict(
        {
            'model.class_names': None,
            'model.roi_head.bbox_head.num_classes': 4,
            'model.roi_head.bbox_head.fc_out_channels': 32,
            'model.test_cfg.rpn.max_per_img': 10,
            'model.test_cfg.rcnn.score_thr': 0.0,
            'test_dataloader.dataset.pipeline.1.scale': (128, 96),
        }
    )
    cfg.dump(root / 'config.py')
    torch.manual_seed(0)
    model = init_model(get_config(str(root / 'config.py')))
    model.roi_head.set_classifier(classifier_matrix(torch.randn(4, 512)))
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=CLASSES))), root / 'm.pth'
    )
    rng = np.random.default_rng(0)
    (root / 'in').mkdir()
    for name in 'ab':
        cv2.imwrite(str(root / f'in/{name}.png'), rng.integers(0, 255, (48, 64, 3), np.uint8))
    return root


def unnamed(files):
    """The checkpoint without the names of its classes."""
    torch.save(dict(state_dict=torch.load(files / 'm.pth')['state_dict']), files / 'unnamed.pth')
    return files / 'unnamed.pth'


def model(files):
    return init_model(str(files / 'config.py'), files / 'm.pth')


def test_results_have_masks_names_and_region_features(files):
    detect = DeticInferencer(model(files), threshold=0.0, features=True)
    result = detect(files / 'in/a.png')
    n = len(result.scores)
    assert n and result.masks.shape == (n, 48, 64) and result.picture.shape == (48, 64, 3)
    assert (np.diff(result.scores) <= 0).all() and set(result.names) <= set(CLASSES)
    assert np.allclose(np.linalg.norm(result.features, axis=1), 1, atol=1e-5)
    best = len({tuple(b) for b in result.boxes.round(3).tolist()})
    assert best == n  # one class a proposal
    every = DeticInferencer(model(files), all_classes=True, masks=False)(files / 'in/a.png')
    assert every.masks is None and every.features is None and len(every.scores) > n


def test_features_are_in_the_space_of_the_class_embeddings(files):
    net = model(files)
    detect = DeticInferencer(net, features=True, masks=False)
    image = cv2.imread(str(files / 'in/a.png'))
    result = detect(image)
    x = net.extract_feat(net.data_preprocessor(_batch(detect, image))['inputs'])
    scale = np.array([2, 2, 2, 2])  # 64 x 48 is tested at 128 x 96
    boxes = torch.from_numpy(result.boxes * scale).float()
    with torch.no_grad():
        logits, _, _ = net.roi_head.stage_forward(2, x, [boxes])
    want = 50 * torch.from_numpy(result.features) @ net.roi_head.bbox_head[2].fc_cls.zs_weight
    assert torch.allclose(logits[0], want, atol=2e-2)


def _batch(detect, image):
    data = detect.pipeline(dict(img=image, img_id=0, file_name='a'))
    return dict(inputs=[data['inputs']], data_samples=[data['data_samples']])


def test_models_by_name_get_the_inferencer_that_knows_vocabularies(files):
    options = {'model.vocabulary': 'dog,kite'}
    detect = inferencer(str(files / 'config.py'), unnamed(files), cfg_options=options)
    with pytest.raises(ValueError, match='the names are not known'):  # neither config nor checkpoint has them
        detect(files / 'in/a.png')
    named = options | {'model.class_names': list(CLASSES)}
    for path, config in ((unnamed(files), named), (files / 'm.pth', options)):
        detect = inferencer(str(files / 'config.py'), path, cfg_options=config)
        assert isinstance(detect, DeticInferencer)
        assert set(detect(files / 'in/a.png').names) <= {'dog', 'kite'}


def test_deformable_detr_gives_one_class_a_query(files):
    options = {
        'model.encoder.num_layers': 1,
        'model.decoder.num_layers': 1,
        'model.num_queries': 10,
        'model.test_cfg.max_per_img': 10,
        'model.bbox_head.loss_cls.image_counts': None,
        'test_dataloader.dataset.pipeline.1.scale': (128, 96),
    }
    net = init_model('BoxSup-DeformDETR_L_R50_4x', cfg_options=options)
    net.init_weights()
    one = DeticInferencer(net)(files / 'in/a.png')
    assert one.masks is None and len({tuple(b) for b in one.boxes.tolist()}) == len(one.boxes) == 10
    assert (
        len({tuple(b) for b in DeticInferencer(net, all_classes=True)(files / 'in/a.png').boxes.tolist()})
        < 10
    )
    with pytest.raises(ValueError, match='Deformable DETR has a learned classifier'):
        DeticInferencer(net, features=True)


def test_another_vocabulary_and_what_is_refused(files):
    words = Vocabulary(('a', 'b'), torch.randn(2, 512))
    result = DeticInferencer(model(files), vocabulary=words)(files / 'in/b.png')
    assert set(result.names) <= {'a', 'b'}
    net = init_model(str(files / 'config.py'), unnamed(files))
    net.dataset_meta = {}
    with pytest.raises(ValueError, match='nobody has named the classes'):
        DeticInferencer(net)


def test_the_tool_writes_pictures_features_and_three_formats(files, tmp_path, capsys):
    images = [dict(id=70 + i, file_name=f'{n}.png', width=64, height=48) for i, n in enumerate('ab')]
    categories = [dict(id=30, name='Dog'), dict(id=40, name='cone')]
    (tmp_path / 'ann.json').write_text(json.dumps(dict(images=images, categories=categories)))
    cone = Vocabulary(('traffic cone',), torch.randn(1, 512))
    save_vocabulary(cone, tmp_path / 'cone.safetensors')

    def run(*options):
        command = [
            files / 'config.py',
            files / 'm.pth',
            files / 'in',
            '--out',
            tmp_path / 'out',
            *options,
        ]
        main(['infer', *map(str, command)])

    run('--classes', 'dog, cone=traffic cone', '--features', '--annotations', tmp_path / 'ann.json',
        '--embeddings', files / 'm.pth', '--embeddings', tmp_path / 'cone.safetensors')  # fmt: skip
    out = tmp_path / 'out'
    assert '2 images written' in capsys.readouterr().out
    records = json.loads((out / 'results.json').read_text())
    assert {r['image_id'] for r in records} == {70, 71} and {r['category_id'] for r in records} <= {30, 40}
    assert mask.decode(records[0]['segmentation']).shape == (48, 64)
    frames = json.loads((out / 'det.json').read_text())['frames']
    assert [f['name'] for f in frames] == ['a.png', 'b.png']
    assert sum(len(f['labels']) for f in frames) == len(records)
    features = np.load(out / 'features/a.png.npz')
    assert features['features'].shape == (len(features['scores']), 512)
    assert cv2.imread(str(out / 'pictures/a.png')).shape == (48, 64, 3)
    with pytest.raises(SystemExit, match='names in no source: lynx'):
        run('--classes', 'dog,lynx')
    with pytest.raises(SystemExit, match='no categories named zebra'):
        run('--classes', 'dog,zebra', '--annotations', tmp_path / 'ann.json')


@pytest.mark.parametrize(
    ('known', 'paths', 'ids'),
    [
        (['a/1.png', 'b/1.png'], ['/data/a/1.png', '/data/b/1.png'], [0, 1]),
        (['b/1.png', 'a/1.png'], ['/data/a/1.png', '/data/b/1.png'], [1, 0]),
        (['1.png', '2.png'], ['/data/x/2.png', '/data/y/1.png'], [1, 0]),  # base names, unique
        (['val/1.png'], ['/data/images/1.png'], [0]),  # another folder, unique
        (['1.png', 'a/1.png'], ['/data/b/1.png', '/data/a/1.png'], [0, 1]),  # the longest
        (['ba/1.png', 'a/1.png'], ['/data/a/1.png'], [1]),  # whole folders' names
    ],
)
def test_images_are_matched_by_their_paths(known, paths, ids):
    pairs = [(name, i) for i, name in enumerate(known)]
    paths = [Path(path) for path in paths]
    assert [match_images(paths, pairs, 'ann.json')[path] for path in paths] == ids


@pytest.mark.parametrize(
    ('known', 'paths', 'said'),
    [
        (['1.png'], ['/data/a/1.png', '/data/b/1.png'], 'image 0 would be /data/a/1.png and /data/b/1.png'),
        (['x/1.png', 'y/1.png'], ['/data/a/1.png'], 'ann.json: 1 images are not .* or several'),
        (['x/1.png'], ['/data/a/1.png', '/data/b/1.png'], '2 images are not'),
        (['2.png'], ['/data/1.png'], '/data/1.png'),
        (['a/1.png', 'a/1.png'], ['/data/a/1.png'], 'several'),
    ],
)
def test_images_that_are_not_matched_are_named(known, paths, said):
    with pytest.raises(ValueError, match=said):
        match_images([Path(path) for path in paths], [(name, i) for i, name in enumerate(known)], 'ann.json')


def test_images_of_one_name_keep_their_own_ids(files, tmp_path):
    for folder, name in (('x', 'a'), ('y', 'b')):
        (tmp_path / 'in' / folder).mkdir(parents=True)
        (tmp_path / 'in' / folder / '1.png').write_bytes((files / f'in/{name}.png').read_bytes())
    categories = [dict(id=10 * i, name=name) for i, name in enumerate(CLASSES)]
    images = [
        dict(id=7, coco_url='http://images.cocodataset.org/y/1.png'),
        dict(id=8, coco_url='http://images.cocodataset.org/x/1.png'),
    ]
    ann = tmp_path / 'ann.json'
    ann.write_text(json.dumps(dict(images=images, categories=categories)))
    detect = DeticInferencer(model(files), masks=False)
    results = list(detect.run(tmp_path / 'in', tmp_path / 'out', progress=False, annotations=ann))
    assert [result.name for result in results] == ['x/1.png', 'y/1.png']
    records = json.loads((tmp_path / 'out/results.json').read_text())
    for result, number in zip(results, (8, 7)):
        scores = [record['score'] for record in records if record['image_id'] == number]
        assert scores == pytest.approx(result.scores.tolist())
    images = json.loads((tmp_path / 'out/results_ids.json').read_text())['images']
    assert [(image['id'], image['file_name']) for image in images] == [(8, 'x/1.png'), (7, 'y/1.png')]
    ann.write_text(json.dumps(dict(images=[dict(id=7, file_name='1.png')], categories=categories)))
    with pytest.raises(ValueError, match='image 7 would be'):
        detect.run(tmp_path / 'in', tmp_path / 'other', annotations=ann)  # before the first image
    assert not (tmp_path / 'other/results.json').exists()
    for content in ('<html>', '[]', '{"images": [{"id": 1}], "categories": []}', '{"categories": []}'):
        ann.write_text(content)
        with pytest.raises(ValueError, match='ann.json: not a COCO- or LVIS-style file'):
            detect.run(tmp_path / 'in', tmp_path / 'other', annotations=ann)


def test_results_so_far_are_written_and_what_was_left_out_is_told(files, tmp_path):
    (tmp_path / 'in').mkdir()
    for name in 'abc':
        (tmp_path / f'in/{name}.png').write_bytes((files / 'in/a.png').read_bytes())
    (tmp_path / 'in/a2.png').write_bytes(b'')
    detect = DeticInferencer(model(files), masks=False)
    run = detect.run(tmp_path / 'in', tmp_path / 'out', progress=False)
    with pytest.warns(LeftOut, match='a2.png is left out'):
        for result in run:
            if result.name == 'b.png':
                break
    del run  # a loop over detect.run(...) itself ends it by break
    out = tmp_path / 'out'
    assert [f['name'] for f in json.loads((out / 'det.json').read_text())['frames']] == ['a.png', 'b.png']
    assert {r['image_id'] for r in json.loads((out / 'results.json').read_text())} == {1, 2}
    assert sorted(p.name for p in out.iterdir()) == sorted(
        ['det.coco.json', 'det.json', 'pictures', 'results.json', 'results_ids.json']
    )
    image = cv2.imread(str(tmp_path / 'in/a.png'))
    assert np.array_equal(detect(image[..., :1]).boxes, detect(cv2.merge([image[..., 0]] * 3)).boxes)
    with pytest.raises(ValueError, match='of float64'):
        detect(image / 255)


def test_no_detection_is_an_empty_list_and_no_image_no_file(tmp_path):
    writer = ResultWriter(tmp_path / 'none', ['car'])
    writer.close()
    assert not (tmp_path / 'none').exists()
    writer = ResultWriter(tmp_path / 'one', ['car'])
    none = np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)
    result = Detections('a.png', *none, [], picture=np.zeros((4, 6, 3), np.uint8))
    writer.add(result, Item('a.png', Path('a.png'), False))
    writer.close()
    assert json.loads((tmp_path / 'one/results.json').read_text()) == []
    assert json.loads((tmp_path / 'one/results_ids.json').read_text()) == dict(
        images=[dict(id=1, file_name='a.png', height=4, width=6)], categories=[dict(id=1, name='car')]
    )
