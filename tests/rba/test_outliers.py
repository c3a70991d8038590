import json
from pathlib import Path

import numpy as np
import pytest
from mmseg.datasets import MapillaryDataset_v1
from PIL import Image

from mmroad.commands import main
from mmroad.rba.outliers import LoadMapillaryAsCityscapes, PasteNegatives, PasteOutlier, mapillary_table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def objects(tmp_path):
    """Six images with a 3x5 outlier each, of color (RGB) 10 i, and one mask without any."""
    for name in ('img', 'mask'):
        (tmp_path / name).mkdir()
    for i in range(6):
        mask = np.zeros((20, 30), 'uint8')
        mask[4:7, 10:15] = 254
        mask[5, 12] = 0
        Image.fromarray(mask * (i < 5)).save(tmp_path / f'mask/{i}.png')
        Image.fromarray(np.full((20, 30, 3), (10 * i, 0, 255), 'uint8')).save(tmp_path / f'img/{i}.png')
    return dict(img_dir=tmp_path / 'img', mask_dir=tmp_path / 'mask', img_suffix='.png')


def scene(size=(16, 24)):
    return dict(img=np.full((*size, 3), 128, 'uint8'), gt_seg_map=np.zeros(size, 'uint8'))


def test_paste_puts_the_objects_pixels_at_one_place(objects):
    np.random.seed(0)
    paste = PasteOutlier(**objects, prob=1.0)
    places = set()
    for _ in range(200):
        before = scene()
        after = paste(dict(before))
        pasted = after['gt_seg_map'] == 254
        assert pasted.sum() in (0, 14)
        assert (after['img'][~pasted] == 128).all() and (after['img'][pasted][:, 0] == 255).all()
        assert (before['img'] == 128).all() and not before['gt_seg_map'].any()
        if pasted.any():
            rows, columns = np.nonzero(pasted)
            assert np.ptp(rows) == 2 and np.ptp(columns) == 4
            places.add((rows.min(), columns.min()))
    assert min(p[0] for p in places) == 0 and max(p[0] for p in places) == 16 - 3
    assert max(p[1] for p in places) == 24 - 5


def test_paste_is_skipped_by_chance_and_where_the_object_is_too_large(objects):
    np.random.seed(0)
    paste = PasteOutlier(**objects, prob=0.25)
    share = np.mean([(paste(scene())['gt_seg_map'] == 254).any() for _ in range(800)])
    assert abs(share - 0.25 * 5 / 6) < 0.05
    assert not PasteOutlier(**objects, prob=1.0)(scene((2, 40)))['gt_seg_map'].any()


@pytest.mark.parametrize('value', [1, 255])
def test_masks_whose_outliers_have_another_value_are_named(objects, value):
    path = objects['mask_dir'] / '0.png'
    Image.fromarray(np.where(np.asarray(Image.open(path)), value, 0).astype('uint8')).save(path)
    with pytest.raises(ValueError, match=rf'mask/0.png: values 0, {value}, but outliers are 254: .*value='):
        PasteOutlier(**objects, prob=1.0).load('0')
    assert PasteOutlier(**objects, prob=1.0, value=value).load('0')[1].sum() == 14


def test_subset_is_the_same_for_a_seed(objects, monkeypatch):
    def names(seed):
        return PasteOutlier(**objects, prob=1, num_objects=3, seed=seed).names

    assert len(names(0)) == 3
    assert len({tuple(names(seed)) for seed in range(8)}) > 1
    before, plain = names(0), Path.glob
    monkeypatch.setattr(Path, 'glob', lambda *args: list(plain(*args))[::-1])  # as another file system lists
    assert names(0) == before
    monkeypatch.setattr(
        Path, 'glob', lambda *args: sorted(plain(*args), key=lambda path: path.stem[::-1] + 'x')
    )
    assert names(0) == before == sorted(before)


def test_an_object_of_the_images_size_is_pasted(objects):
    paste = PasteOutlier(**objects, prob=1.0, num_objects=None)
    paste.names = ['0']
    after = paste(scene((3, 5)))
    assert (after['gt_seg_map'] == 254).sum() == 14
    assert not paste(scene((2, 5)))['gt_seg_map'].any() and not paste(scene((3, 4)))['gt_seg_map'].any()


def test_bad_objects_are_named_and_hidden_files_are_none(objects):
    folder = objects['mask_dir']
    (folder / '._0.png').write_bytes(b'macOS')
    paste = PasteOutlier(**objects, prob=1.0)
    assert paste.names == [str(i) for i in range(6)]
    mask = np.array(Image.open(folder / '0.png'))
    for array, message in (
        (np.dstack([mask] * 2 + [mask // 2]), 'a color image'),
        (mask.T.copy(), r'30 x 20 pixels \(height x width\), its image 20 x 30'),
    ):
        Image.fromarray(array).save(folder / '0.png')
        with pytest.raises(ValueError, match=rf'mask/0\.png: .*{message}'):
            paste.load('0')
    Image.fromarray(mask > 0).save(folder / '0.png')  # 1-bit: ones are outliers
    assert PasteOutlier(**objects, prob=1.0, value=1).load('0')[1].sum() == 14
    (objects['img_dir'] / '0.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'img/0\.png: no such image'):
        paste.load('0')


def test_missing_folder_is_named_when_it_is_needed(tmp_path):
    paste = PasteOutlier(tmp_path / 'a', tmp_path / 'b', prob=1.0)
    with pytest.raises(FileNotFoundError, match='mmroad data outlier-masks'):
        paste(scene())


@pytest.fixture
def negatives(tmp_path):
    """One image of 40x60: class 3 on the left third (red 30), 7 on the right one (red 70), between them 0."""
    labels = np.zeros((40, 60), 'uint8')
    labels[:, :20], labels[:, 40:] = 3, 7
    for name, value in dict(img=np.dstack([10 * labels, labels, labels]), mask=labels).items():
        (tmp_path / name).mkdir()
        Image.fromarray(value).save(tmp_path / f'{name}/0.png')
    return dict(img_dir=tmp_path / 'img', mask_dir=tmp_path / 'mask', img_suffix='.png')


def test_negatives_are_pixels_of_classes_each_at_a_place_of_its_own(negatives):
    np.random.seed(0)
    shares, apart = [], 0
    for _ in range(100):
        before = scene((60, 90))
        after = PasteNegatives(**negatives, sides=(60, 61))(dict(before))  # as large as it is
        pasted = after['gt_seg_map'] == 254
        red = after['img'][..., 2]
        assert (before['img'] == 128).all() and (red[~pasted] == 128).all()
        assert set(np.unique(red[pasted])) <= {0, 30, 70}
        shares.append(pasted.sum() / 800)  # a class has 800 pixels
        tops = [np.nonzero(red == value)[0].min(initial=99) for value in (30, 70)]
        apart += 99 not in tops and tops[0] != tops[1]
    assert 1 <= min(shares) < max(shares) <= 3  # one class drawn thrice may lie on itself
    assert apart > 10


def test_negatives_are_made_smaller_to_a_drawn_side_and_left_out_where_there_is_no_room(negatives):
    np.random.seed(0)
    for _ in range(20):
        paste = PasteNegatives(**negatives, sides=(24, 31), classes=1)
        pasted = paste(scene((20, 30)))['gt_seg_map'] == 254
        rows, columns = pasted.nonzero()
        assert 16 <= np.ptp(rows) + 1 <= 20 and 8 <= np.ptp(columns) + 1 <= 10  # of 16x24 to 20x30 a third
    assert not PasteNegatives(**negatives, sides=(60, 61))(scene((39, 90)))['gt_seg_map'].any()
    assert not PasteNegatives(**negatives, sides=(60, 61), prob=0.0)(scene((60, 90)))['gt_seg_map'].any()
    with pytest.raises(FileNotFoundError, match='ADEChallengeData2016'):
        PasteNegatives('nowhere', 'nowhere', sides=(96, 500))(scene())


def test_mapillary_as_uno_has_it_keeps_more_of_what_is_like_a_class():
    classes = MapillaryDataset_v1.METAINFO['classes']
    plain, wide = mapillary_table(), mapillary_table(wide=True)
    changed = {classes[i]: wide[i] for i in range(65) if wide[i] != plain[i]}
    assert (plain[[classes.index(name) for name in changed]] == 255).all() and len(changed) == 13
    assert changed['Guard Rail'] == 4 and changed['Tunnel'] == 2 and changed['Parking'] == 0
    assert wide[classes.index('Mountain')] == 255


def test_mapillary_labels(tmp_path):
    classes = MapillaryDataset_v1.METAINFO['classes']
    names = ['Road', 'Lane Marking - General', 'Curb', 'Other Rider', 'On Rails', 'Caravan', 'Unlabeled']
    labels = np.array([[classes.index(name) for name in names]] * 2, 'uint8')
    Image.fromarray(labels).save(tmp_path / 'x.png')
    load = LoadMapillaryAsCityscapes()
    out = load(
        dict(seg_map_path=str(tmp_path / 'x.png'), seg_fields=[], label_map=None, reduce_zero_label=False)
    )
    assert out['gt_seg_map'].tolist() == [[0, 0, 1, 12, 16, 255, 255]] * 2


def test_mapillary_and_cityscapes_in_one_training_set(objects, tmp_path):
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    from mmroad import get_config

    dataset = get_config('rba_swin_b_1dl_ood_map_coco').train_dataloader.dataset
    names = [('training/images', 'training/v1.2/labels', 'x.jpg', 'x.png')]
    names += [('leftImg8bit/train', 'gtFine/train', 'a_leftImg8bit.png', 'a_gtFine_labelTrainIds.png')]
    for part, (images, labels, image, label) in zip(dataset.datasets, names, strict=True):
        part.data_root = str(tmp_path / part.type)
        for folder, name, array in (
            (images, image, np.zeros((60, 90, 3))),
            (labels, label, np.full((60, 90), 13)),
        ):
            (tmp_path / part.type / folder).mkdir(parents=True)
            Image.fromarray(array.astype('uint8')).save(tmp_path / part.type / folder / name)
        (paste,) = [step for step in part.pipeline if step.type == 'PasteOutlier']
        paste.update({k: str(v) for k, v in objects.items()}, prob=1.0)
        (resize,) = [step for step in part.pipeline if step.type == 'RandomChoiceResize']
        resize.scales = [600]
    init_default_scope('mmseg')
    built = DATASETS.build(dataset)
    labels = [set(built[i]['data_samples'].gt_sem_seg.data.unique().tolist()) - {254} for i in range(2)]
    assert labels == [{0}, {13}]  # 13 is "Road" in Mapillary, "car" in Cityscapes
    assert built[0]['inputs'].shape == (3, 512, 900)


BOX = [[2, 3, 8, 3, 8, 9, 2, 9]]


def coco(**changes):
    content = dict(
        categories=[dict(id=1, name='person'), dict(id=18, name='dog')],
        images=[
            dict(id=0, file_name='a.jpg', height=20, width=20),
            dict(id=1, file_name='b.jpg', height=20, width=20),
        ],
        annotations=[dict(id=5 + i, image_id=i, category_id=18, segmentation=BOX) for i in range(2)],
    )
    return json.dumps(content | changes)


SHAPES = {
    'counts that do not fill': dict(counts=[0, 5, 20], size=[20, 20]),
    'text that does not fill': dict(counts='j023000', size=[20, 20]),
    'empty text': dict(counts='', size=[20, 20]),
    'other size': dict(counts=[0, 400], size=[10, 40]),
    'two corners': [[1, 1, 5, 5]],
    'odd': [[1, 1, 5, 5, 6, 6, 7]],
    'nothing': [],
    'null': None,
}


@pytest.mark.parametrize('kind', SHAPES)
def test_bad_segmentations_leave_their_image_out_by_name(kind, tmp_path, capsys):
    annotations = [
        dict(id=5, image_id=0, category_id=18, segmentation=SHAPES[kind]),
        dict(id=6, image_id=1, category_id=18, segmentation=BOX),
    ]
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/instances_train2017.json').write_text(coco(annotations=annotations))
    with pytest.raises(
        SystemExit, match=r'1 images are left out:\nimage 0 \(a\.jpg\), annotation 5: segmentation'
    ):
        main(['data', 'outlier-masks', str(tmp_path), '--min-size', '10'])
    assert '1 masks written' in capsys.readouterr().out
    assert [path.name for path in (tmp_path / 'annotations/ood_seg_train2017').iterdir()] == ['b.png']


FILES = {
    'not JSON': ('{', 'not JSON'),
    'a list': ('[]', "no list 'images'"),
    'no images': (coco(images=None), "no list 'images'"),
    'no key': (coco(categories=[dict(id=1)]), 'entry 0 of categories has no name'),
    'no image': (coco(annotations=[dict(id=3, image_id=9, category_id=18)]), 'annotation 3 is of image 9'),
    'other classes': (coco(categories=[dict(id=18, name='dog')]), 'no category is called person'),
    'one name': (
        coco(images=[dict(id=i, file_name=f'{i}/a.jpg', height=20, width=20) for i in range(2)]),
        r'0/a\.jpg and 1/a\.jpg would both be a\.png',
    ),
}


@pytest.mark.parametrize('kind', FILES)
def test_bad_annotation_files_are_named_and_nothing_is_written(kind, tmp_path):
    content, message = FILES[kind]
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/instances_train2017.json').write_text(content)
    with pytest.raises(SystemExit, match=rf'instances_train2017\.json: .*{message}'):
        main(['data', 'outlier-masks', str(tmp_path)])
    assert not (tmp_path / 'annotations/ood_seg_train2017').exists()


def test_coco_masks(tmp_path, capsys):
    box = BOX
    rle = dict(counts=[0, 5, 20 * 20 - 5], size=[20, 20])
    content = dict(
        categories=[dict(id=1, name='person'), dict(id=18, name='dog')],
        images=[dict(id=i, file_name=f'{i:012}.jpg', height=20, width=20 if i != 2 else 9) for i in range(4)],
        annotations=[
            dict(image_id=0, category_id=18, segmentation=box),
            dict(image_id=0, category_id=18, segmentation=rle),
            dict(image_id=1, category_id=18, segmentation=box),
            dict(image_id=1, category_id=1, segmentation=box),
            dict(image_id=2, category_id=18, segmentation=box),
        ],
    )
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/instances_train2017.json').write_text(json.dumps(content))
    main(['data', 'outlier-masks', str(tmp_path), '--min-size', '10'])
    assert (
        '4 images: 1 show a known class, 1 have no object, 1 are too small; 1 masks'
        in capsys.readouterr().out
    )
    (file,) = (tmp_path / 'annotations/ood_seg_train2017').iterdir()
    mask = np.array(Image.open(file))
    want = np.zeros((20, 20), 'uint8')
    want[3:9, 2:8] = 254
    want[:5, 0] = 254
    assert file.name == '000000000000.png' and (mask == want).all()
