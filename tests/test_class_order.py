"""Checkpoints whose classes stand in another order, under other names, or are others."""

import pytest
import torch
from torch import nn

import mmroad
from mmroad.bdd100k.scalabel import DET_CLASSES
from mmroad.zoo.checkpoint import CheckpointError, load_checkpoint
from mmroad.zoo.class_order import ClassOrderError, class_order, follow_classes_in_training, permute_classes
from mmroad.zoo.configs import get_config, list_models
from mmroad.zoo.models import build_model, load_weights, model_classes

#: As people's detectors of 2018 have them.
OF_2018 = [
    'person',
    'rider',
    'car',
    'bus',
    'truck',
    'bike',
    'motor',
    'traffic light',
    'traffic sign',
    'train',
]
TODAY = [{'person': 'pedestrian', 'bike': 'bicycle', 'motor': 'motorcycle'}.get(n, n) for n in OF_2018]
#: For each of today's classes its row there.
ROWS = [0, 1, 2, 4, 3, 9, 6, 5, 7, 8]


@pytest.mark.parametrize(
    'names',
    [
        OF_2018,
        [n.replace(' ', '_') for n in OF_2018],
        [n.title() for n in OF_2018],
        [n.replace('traffic ', '') for n in OF_2018],
        TODAY,
    ],
)
def test_the_order_and_names_of_2018(names):
    assert class_order(names, DET_CLASSES) == (DET_CLASSES, ROWS)


@pytest.mark.parametrize('names', [DET_CLASSES, [n.upper().replace(' ', '-') for n in DET_CLASSES]])
def test_the_same_order_is_left_alone(names):
    assert class_order(names, DET_CLASSES) == (DET_CLASSES, None)


@pytest.mark.parametrize(
    'names',
    [
        OF_2018[:9],  # train is missing
        [*OF_2018, 'van'],
        [*OF_2018[:9], 'trailer'],
        ['person', 'pedestrian', *OF_2018[2:]],  # one class twice
        ['car'],
        'car',
    ],
)
def test_other_classes_are_refused_with_both_lists(names):
    names = (names,) if isinstance(names, str) else names
    with pytest.raises(ClassOrderError) as caught:
        class_order(names, DET_CLASSES)
    assert ', '.join(names) in str(caught.value) and ', '.join(DET_CLASSES) in str(caught.value)
    assert f'the checkpoint has {len(names)}:' in str(caught.value)


def test_a_name_that_both_lists_have_is_itself():
    coco = ('person', 'bicycle', 'car')
    assert class_order(('car', 'person', 'bicycle'), coco) == (coco, [1, 2, 0])
    both = ('person', 'pedestrian')
    assert class_order(('pedestrian', 'person'), both) == (both, [1, 0])


def test_a_config_with_the_old_names_is_followed_too():
    """Names of a user's own config; both lists are read alike."""
    assert class_order(DET_CLASSES, OF_2018) == (tuple(OF_2018), [DET_CLASSES.index(n) for n in TODAY])
    assert class_order([*TODAY], OF_2018) == (tuple(OF_2018), None)


def test_either_list_of_a_model_fits():
    tested, trained = ('road', 'car'), ('sky', 'tree')
    assert class_order(('tree', 'sky'), tested, trained) == (trained, [1, 0])
    with pytest.raises(ClassOrderError, match='2: road, car or 2: sky, tree'):
        class_order(('sky', 'car'), tested, trained)


def scores(model, x, anchors=1):
    return model(x).unflatten(1, (anchors, -1))


@pytest.mark.parametrize(
    ('key', 'rows', 'anchors'),
    [
        ('roi_head.bbox_head.fc_cls', 4, 1),  # with a row for the background, which stays the last
        ('bbox_head.conv_cls', 3, 1),
        ('bbox_head.retina_cls', 6, 2),
        ('decode_head.cls_embed', 4, 1),
        ('decode_head.conv_seg', 3, 1),
        ('roi_head.mask_head.conv_logits', 3, 1),
    ],
)
def test_rows_of_class_layers(key, rows, anchors):
    layer, moved, order = nn.Linear(5, rows), nn.Linear(5, rows), [2, 0, 1]
    state = {f'{key}.{k}': v for k, v in layer.state_dict().items()} | {'neck.weight': torch.ones(3, 3)}
    got = permute_classes(state, order)
    assert torch.equal(got['neck.weight'], torch.ones(3, 3))
    moved.load_state_dict({k.rpartition('.')[2]: v for k, v in got.items() if k.startswith(key)})
    x = torch.randn(7, 5)
    columns = order if rows != 4 else [*order, 3]
    assert torch.allclose(scores(moved, x, anchors), scores(layer, x, anchors)[..., columns])


def test_box_regression_follows_its_classes():
    state = {
        'bbox_head.fc_cls.weight': torch.arange(4.0)[:, None],
        'bbox_head.fc_reg.weight': torch.arange(12.0)[:, None],
        'bbox_head.1.fc_reg.weight': torch.arange(4.0)[:, None],  # one box for all
        'rpn_head.rpn_cls.weight': torch.arange(3.0)[:, None],  # as many anchors as classes
    }
    got = permute_classes(state, [2, 0, 1])
    assert got['bbox_head.fc_cls.weight'].flatten().tolist() == [2, 0, 1, 3]
    assert got['bbox_head.fc_reg.weight'].flatten().tolist() == [8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7]
    assert got['bbox_head.1.fc_reg.weight'].flatten().tolist() == [0, 1, 2, 3]
    assert got['rpn_head.rpn_cls.weight'].flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ('state', 'problem'),
    [
        ({'neck.weight': torch.ones(3)}, 'no layer is known whose rows are classes'),
        (
            {'h.fc_cls.bias': torch.ones(3), 'bbox_head.new_cls.weight': torch.ones(9, 2)},
            'bbox_head.new_cls.weight',
        ),
        (
            {'h.fc_cls.bias': torch.ones(3), 'decode_head.prototypes': torch.ones(2, 3)},
            'decode_head.prototypes',
        ),
    ],
)
def test_an_order_that_cannot_be_followed_is_refused(state, problem):
    with pytest.raises(ClassOrderError, match=problem):
        permute_classes(state, [2, 0, 1])


SMALL = 'faster_rcnn_r18_fpn_quickstart'


@pytest.fixture(scope='module')
def detector():
    torch.manual_seed(0)
    model = build_model(get_config(SMALL)).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if 'fc_cls' in name or 'fc_reg' in name:
                value.normal_(0, 0.1)
    return model


def as_of_2018(model):
    """The model's state dict as a training with the old list would have it, row by row."""
    old = {k: v.clone() for k, v in model.state_dict().items()}
    for key, value in model.state_dict().items():
        for today, row in enumerate(ROWS):
            if '.fc_cls.' in key:
                old[key][row] = value[today]
            elif '.fc_reg.' in key:
                old[key][4 * row : 4 * row + 4] = value[4 * today : 4 * today + 4]
    return old


@pytest.mark.parametrize('key', ['CLASSES', 'dataset_meta'])
def test_a_detector_of_2018_predicts_the_same_boxes_and_names(detector, tmp_path, key):
    meta = dict(CLASSES=OF_2018) if key == 'CLASSES' else dict(dataset_meta=dict(classes=OF_2018))
    torch.save(dict(state_dict=as_of_2018(detector), meta=meta), tmp_path / 'old.pth')
    model = mmroad.init_model(SMALL, tmp_path / 'old.pth')
    assert model.dataset_meta['classes'] == DET_CLASSES
    for name, value in detector.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_the_weights_of_a_config_follow_its_order(detector, tmp_path):
    cfg, path = get_config(SMALL), tmp_path / 'old.pth'
    model = build_model(cfg)
    torch.save(dict(state_dict=as_of_2018(detector), meta=dict(CLASSES=OF_2018)), path)
    load_weights(model, cfg, path)
    for name, value in detector.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    torch.save(dict(state_dict=as_of_2018(detector), meta=dict(CLASSES=OF_2018[:9])), path)
    with pytest.raises(CheckpointError, match='its classes are others'):
        load_weights(model, cfg, path)


def test_other_classes_do_not_load(detector, tmp_path):
    for names in (OF_2018[:9], 'car', [f'class {i}' for i in range(10)]):
        torch.save(dict(state_dict=detector.state_dict(), meta=dict(CLASSES=names)), tmp_path / 'a.pth')
        with pytest.raises(
            CheckpointError, match=r'a\.pth: its classes are others(.|\n)*the model has 10: pedestrian'
        ):
            load_checkpoint(detector, tmp_path / 'a.pth', classes=[DET_CLASSES])


class TestTraining:
    def checkpoint(self, model, names):
        return dict(state_dict=dict(model.state_dict()), meta=dict(dataset_meta=dict(classes=names)))

    def test_the_old_order_is_followed(self, detector):
        checkpoint = dict(state_dict=as_of_2018(detector), meta=dict(CLASSES=OF_2018))
        told = follow_classes_in_training(checkpoint, detector, [DET_CLASSES])
        assert "brought to the model's order" in told
        assert all(torch.equal(checkpoint['state_dict'][k], v) for k, v in detector.state_dict().items())

    def test_the_same_order_is_left_alone(self, detector):
        checkpoint = self.checkpoint(detector, DET_CLASSES)
        assert follow_classes_in_training(checkpoint, detector, [DET_CLASSES]) == ''
        assert follow_classes_in_training(checkpoint, detector, []) == ''
        assert follow_classes_in_training(dict(state_dict={}), detector, [DET_CLASSES]) == ''

    def test_other_classes_start_afresh_where_their_layers_do(self, detector):
        coco = [f'class {i}' for i in range(80)]
        checkpoint = self.checkpoint(detector, coco)
        checkpoint['state_dict']['roi_head.bbox_head.fc_cls.weight'] = torch.ones(81, 1024)
        checkpoint['state_dict']['roi_head.bbox_head.fc_cls.bias'] = torch.ones(81)
        assert 'start afresh' in follow_classes_in_training(checkpoint, detector, [DET_CLASSES])

    def test_other_classes_of_as_many_rows_are_refused(self, detector):
        checkpoint = self.checkpoint(detector, [f'class {i}' for i in range(10)])
        with pytest.raises(ClassOrderError, match=r'class 0, (.|\n)*pedestrian'):
            follow_classes_in_training(checkpoint, detector, [DET_CLASSES])

    @pytest.mark.parametrize('names', [OF_2018, OF_2018[:9]])
    def test_a_training_goes_on_in_its_own_order_alone(self, detector, names):
        with pytest.raises(ClassOrderError, match=r'person, rider(.|\n)*pedestrian, rider'):
            follow_classes_in_training(self.checkpoint(detector, names), detector, [DET_CLASSES], resume=True)
        assert not follow_classes_in_training(
            self.checkpoint(detector, DET_CLASSES), detector, [DET_CLASSES], resume=True
        )


@pytest.mark.parametrize(
    ('names', 'problem'), [(OF_2018, None), ([f'class {i}' for i in range(10)], 'class 0')]
)
def test_a_training_starts_from_weights_of_the_old_order(detector, tmp_path, names, problem):
    """By mmengine's own runner, with what tools/train.py adds."""
    from mmengine.runner import Runner

    import mmroad.zoo.class_order_hook  # noqa: F401

    torch.save(dict(state_dict=as_of_2018(detector), meta=dict(CLASSES=names)), tmp_path / 'old.pth')
    cfg = get_config(SMALL)
    runner = Runner(
        model=cfg.model,
        work_dir=str(tmp_path),
        load_from=str(tmp_path / 'old.pth'),
        default_hooks=dict.fromkeys(
            ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
        ),
        custom_hooks=[dict(type='mmengine.ClassOrderHook')],
        default_scope='mmdet',
        log_level='WARNING',
        cfg=cfg,
    )
    if problem:
        with pytest.raises(ClassOrderError, match=rf'old\.pth: its classes are others(.|\n)*{problem}'):
            runner.load_or_resume()
        return
    runner.load_or_resume()
    for name, value in detector.state_dict().items():
        assert torch.equal(runner.model.state_dict()[name], value), name


def test_models_know_their_classes():
    import mmroad.abet
    import mmroad.rba  # noqa: F401

    counts = {
        'retinanet_r50_fpn_1x_det_bdd100k': 10,
        'rba_swin_b_1dl_cityscapes': 19,  # mmseg's Cityscapes, not mmdet's eight classes
        'abet_deepv3plus_wrn38_cityscapes-cv2_ood': 19,
        'deepv3plus_wrn38_mapillary': 65,
    }
    for name, count in counts.items():
        assert [len(names) for names in model_classes(get_config(name))][0] == count, name
    assert model_classes(get_config(list_models('Detic_LI_CLIP_R5021k*')[0])) == []
    cfg = get_config(SMALL)
    cfg.train_dataloader = None
    cfg.test_dataloader.dataset.metainfo = dict(classes='car')  # one class, not three of a letter
    assert model_classes(cfg) == [('car',)]
    cfg.test_dataloader = cfg.val_dataloader = None
    assert model_classes(cfg) == []
