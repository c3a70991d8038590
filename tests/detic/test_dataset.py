"""COCO- and LVIS-style files as people have them: what fits is read, what does not is named; outlines on their way."""

import json
import tarfile

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks

from mmroad.detic.dataset import DeticDataset, LoadCaptionEmbedding, LoadDeticImage
from mmroad.detic.lvis_style import read_categories, read_lvis_style
from mmroad.detic.tar import build_index
from mmroad.detic.transforms import EfficientDetResizeCrop, LoadDeticAnnotations


def content(**changes):
    """Two images, two classes, two boxes."""
    box = dict(bbox=[2, 3, 10, 8], area=80, iscrowd=0, segmentation=[[2, 3, 12, 3, 12, 11, 2, 11]])
    found = dict(
        images=[dict(id=i, width=20, height=16, file_name=f'{i}.png') for i in (2, 1)],
        categories=[dict(id=7, name='dog'), dict(id=3, name='cat')],
        annotations=[dict(box, id=i, image_id=i, category_id=c) for i, c in ((1, 3), (2, 7))],
    )
    return found | changes


def written(tmp_path, found, name='a.json'):
    (tmp_path / name).write_text(found if isinstance(found, str) else json.dumps(found))
    return str(tmp_path / name)


def data(tmp_path, found, **options):
    options = dict(dict(pipeline=[], data_prefix=dict(img=f'{tmp_path}/')), **options)
    return DeticDataset(ann_file=written(tmp_path, found), **options)


def changed(part, number, **values):
    """The content with changes of an entry (None removes the key)."""
    found = content()
    entry = found[part][number]
    entry.update(values)
    found[part][number] = {k: v for k, v in entry.items() if v is not None}
    return found


def test_rows_of_the_classes_are_their_order_by_id(tmp_path):
    found = data(tmp_path, content())
    assert found.metainfo['classes'] == ('cat', 'dog') and found.cat_ids == [3, 7]
    first = found.get_data_info(0)
    assert first['img_id'] == 1 and first['img_path'] == f'{tmp_path}/1.png'
    assert [i['bbox_label'] for i in first['instances']] == [0] and first['instances'][0]['bbox'] == [
        2,
        3,
        12,
        11,
    ]
    assert [i['bbox_label'] for i in found.get_data_info(1)['instances']] == [1]
    bom = '\ufeff' + json.dumps(content())
    assert read_lvis_style(written(tmp_path, bom)) == read_lvis_style(written(tmp_path, content()))
    assert [c.name for c in read_categories(tmp_path / 'a.json')[0]] == ['cat', 'dog']


BAD = dict(
    unknown_image=(
        changed('annotations', 1, image_id=9),
        r'annotations\[1\], image 9: no image has that id \(1 of 2',
    ),
    unknown_category=(
        changed('annotations', 0, category_id=4),
        r'annotations\[0\], image 1: category_id 4 .*\(3, 7\)',
    ),
    no_box=(
        changed('annotations', 0, bbox=None, segmentation=None),
        r'annotations\[0\], image 1: bbox is missing',
    ),
    short_box=(
        changed('annotations', 0, bbox=[1, 2, 3]),
        r'annotations\[0\], image 1: bbox is \[1.0, 2.0, 3.0\]',
    ),
    text_id=(changed('images', 0, id='2'), r'Expected `int`, got `str` - at `\$.images\[0\].id`'),
    text_image=(changed('annotations', 1, image_id='2'), r'at `\$.annotations\[1\].image_id`'),
    text_crowd=(changed('annotations', 1, iscrowd='maybe'), r'annotations\[1\], image 2: iscrowd is .maybe.'),
    half_crowd=(changed('annotations', 1, iscrowd=0.5), r'annotations\[1\], image 2: iscrowd is 0.5'),
    text_outline=(changed('annotations', 1, segmentation=[['a']]), r'at `\$.annotations\[1\].segmentation'),
    no_size=(changed('images', 1, width=None), r'missing required field `width` - at `\$.images\[1\]`'),
    same_images=(changed('images', 1, id=2), 'images with the same id: 2'),
    same_categories=(changed('categories', 1, id=7), 'categories with the same id: 7'),
    no_categories=(content(categories=[]), 'a.json has no categories'),
    no_images=({'categories': []}, 'missing required field `images`'),
    a_list=([], 'Expected `object`, got `array`'),
    no_file_name=(changed('images', 1, file_name=None), 'a.json: image 1 has neither file_name'),
    bad_code=(
        changed('annotations', 1, segmentation=dict(size=[16, 20], counts=[5, 10])),
        r'annotations\[1\]: segmentation: the runs of counts fill 15 pixels',
    ),
    no_code=(changed('annotations', 1, segmentation={}), r'annotations\[1\]: segmentation: size is \[\]'),
    deep=('[' * 5000, 'a.json: not a COCO- or LVIS-style annotation file'),
    not_a_number=(
        json.dumps(changed('annotations', 0, bbox=[float('nan'), 0, 3, 3])),
        'a.json: not a COCO',
    ),
    cut=(json.dumps(content())[:-9], 'a.json: not a COCO'),
    empty=('', 'a.json: not a COCO- or LVIS-style annotation file: the file is empty'),
    pointer=('version https://git-lfs.github.com/spec/v1', 'a Git LFS pointer: fetch the file itself'),
)


@pytest.mark.parametrize('case', list(BAD))
def test_what_does_not_fit_is_named(tmp_path, case):
    found, words = BAD[case]
    with pytest.raises(ValueError, match=words) as error:
        data(tmp_path, found)
    assert 'a.json' in str(error.value)


def test_other_codings_are_named(tmp_path):
    path = tmp_path / 'a.json'
    for data_, words in (
        (b'\x1f\x8b\x08', 'packed with gzip'),
        ('{}'.encode('utf-16'), 'UTF-16'),
        (b'PK\x03\x04', 'a zip archive'),
    ):
        path.write_bytes(data_)
        with pytest.raises(ValueError, match=f'a.json: not a COCO.*{words}'):
            read_lvis_style(path)


def test_what_can_be_derived_is_and_what_cannot_be_learned_is_left_out(tmp_path):
    found = data(
        tmp_path, changed('annotations', 0, bbox=None, segmentation=[[4, 5, 9, 5, 9, 8], [1, 6, 2, 6, 2, 7]])
    )
    assert found.get_data_info(0)['instances'][0]['bbox'] == [1, 5, 9, 8]
    for crowd in (0, False, None, '0', 'false', 'no', 0.0):
        assert data(tmp_path, changed('annotations', 0, iscrowd=crowd)).get_data_info(0)['instances']
    crowds = [dict(iscrowd=value) for value in (1, True, '1', 'true', 1.0)]
    for values in (dict(bbox=[2, 3, 0, 8]), dict(bbox=[2, 3, 10, -1]), *crowds):
        assert data(tmp_path, changed('annotations', 0, **values)).get_data_info(0)['instances'] == []


def test_options_are_checked_when_a_data_set_is_built(tmp_path):
    with pytest.raises(ValueError, match="ann_type must be one of .*, not 'boxes'"):
        data(tmp_path, content(), ann_type='boxes')
    with pytest.raises(
        ValueError, match='a.json: metainfo.classes .*cat.* are not the categories of the file'
    ):
        data(tmp_path, content(), metainfo=dict(classes=('cat',)))
    assert data(tmp_path, content(), metainfo=dict(classes=('cat', 'dog'))).metainfo['classes'] == (
        'cat',
        'dog',
    )
    with pytest.raises(ValueError, match=r'a.json: image 1: unknown pos_category_ids \[5\]'):
        data(tmp_path, changed('images', 1, pos_category_ids=[3, 5]), ann_type='image')
    with pytest.raises(ValueError, match='a.json: image 1 has no captions'):
        data(tmp_path, changed('images', 0, captions=['one']), ann_type='caption')


def test_sources_of_captions_and_tars_are_checked_when_built(tmp_path):
    found = content(annotations=[])
    for image in found['images']:
        image.update(captions=['one', 'two'], pos_category_ids=[3])
    rows = tmp_path / 'rows.npy'
    options = dict(ann_type='captiontag', caption_embeddings=str(rows))
    with pytest.raises(FileNotFoundError, match='rows.npy not found: make them with .*embed-captions'):
        data(tmp_path, found, **options)
    for array, words in (
        (np.ones((3, 8)), '3 embeddings, but .*a.json 4 captions'),
        (np.ones(4), r'found float64 \(4,\)'),
    ):
        np.save(rows, array)
        with pytest.raises(ValueError, match=f'rows.npy.*{words}'):
            data(tmp_path, found, **options)
    rows.write_text('junk')
    with pytest.raises(ValueError, match='rows.npy: not a .npy file of embeddings'):
        data(tmp_path, found, **options)
    np.save(rows, np.arange(8.0).reshape(4, 2))
    info = data(tmp_path, found, **options).get_data_info(1)
    assert {tuple(LoadCaptionEmbedding()(dict(info))['caption_embedding']) for _ in range(40)} == {
        (4, 5),
        (6, 7),
    }

    with tarfile.open(tmp_path / 'a.tar', 'w') as tar:
        tar.add(rows, 'x')
    build_index([tmp_path / 'a.tar'], tmp_path / 'index.npz')
    for number, options, words in (
        (0, {}, 'a.json: images lie in tar files: give their index'),
        (1, dict(tar_index=str(tmp_path / 'index.npz')), 'tar_index 1, but .*index.npz has 1 members'),
    ):
        with pytest.raises(ValueError, match=words):
            data(tmp_path, changed('images', 0, tar_index=number), **options)


def test_images_are_those_of_the_boxes_or_named(tmp_path):
    found, load = data(tmp_path, content()), LoadDeticImage()
    cv2.imwrite(str(tmp_path / '1.png'), np.zeros((16, 20, 3), np.uint8))
    assert load(found.get_data_info(0))['img'].shape == (16, 20, 3)
    cv2.imwrite(str(tmp_path / '1.png'), np.zeros((20, 16, 3), np.uint8))
    with pytest.raises(ValueError, match=r'1.png: the image is 20 x 16 .* one of 16 x 20'):
        load(found.get_data_info(0))
    without = found.get_data_info(0) | dict(instances=[])
    assert load(without)['img_shape'] == (20, 16)  # nothing depends on it
    whole = (tmp_path / '1.png').read_bytes()
    for junk in (b'', b'junk', whole[:20]):
        (tmp_path / '1.png').write_bytes(junk)
        with pytest.raises(ValueError, match='1.png: not an image that can be read'):
            load(found.get_data_info(0))
    (tmp_path / '1.png').unlink()
    with pytest.raises(FileNotFoundError, match='1.png'):
        load(found.get_data_info(0))


def loaded(tmp_path, found):
    info = data(tmp_path, found).get_data_info(0) | dict(
        img=np.zeros((16, 20, 3), np.uint8), ori_shape=(16, 20)
    )
    return LoadDeticAnnotations(with_bbox=True, with_mask=True)(info)


def test_outlines_stay_outlines(tmp_path):
    outline = [[2, 3, 12, 3, 12, 11]]
    masks = loaded(tmp_path, changed('annotations', 0, segmentation=outline))['gt_masks']
    assert isinstance(masks, PolygonMasks) and masks.masks[0][0].tolist() == outline[0]
    assert masks.masks[0][0].dtype == np.float64  # or scaling would cut the decimals of whole coordinates
    code = dict(size=[16, 20], counts=[100, 40, 180])
    found = changed('annotations', 0, segmentation=code)
    found['annotations'].append(dict(image_id=1, category_id=7, bbox=[2, 3, 10, 8], segmentation=outline))
    masks = loaded(tmp_path, found)['gt_masks']
    assert isinstance(masks, BitmapMasks) and masks.masks[0].sum() == 40 and 30 < masks.masks[1].sum() < 60
    with pytest.raises(ValueError, match='1.png: an annotation has no segmentation to learn masks from'):
        loaded(tmp_path, changed('annotations', 0, segmentation=None))
    # fewer than three points are no outline: ignored, as in mmdet
    results = loaded(tmp_path, changed('annotations', 0, segmentation=[[1, 2, 3, 4]]))
    assert results['gt_ignore_flags'].tolist() == [True]


@pytest.mark.parametrize('factor', [0.5, 2.0])
def test_scaling_and_cropping_move_outlines_as_boxes_and_cut_none(monkeypatch, factor):
    outlines = [[np.array([2, 3, 18, 3, 18, 15, 2, 15.0])], [np.array([0, 0, 3, 0, 3, 2.0])]]
    results = dict(
        img=np.zeros((16, 20, 3), np.uint8), img_shape=(16, 20), gt_masks=PolygonMasks(outlines, 16, 20)
    )
    results['gt_bboxes'] = HorizontalBoxes(torch.tensor([[2.0, 3, 18, 15], [0, 0, 3, 2]]))
    results |= dict(gt_bboxes_labels=np.array([4, 5]), gt_ignore_flags=np.zeros(2, bool))
    draws = iter([factor, 0.5, 0.5])
    monkeypatch.setattr(np.random, 'uniform', lambda *_: next(draws))
    found = EfficientDetResizeCrop(20, (factor, factor))(results)
    left, top = (0, 0) if factor < 1 else (10, 6)
    scale = np.array(found['scale_factor'])
    want = (outlines[0][0].reshape(-1, 2) * scale - [left, top]).ravel()
    masks = found['gt_masks']
    assert (masks.height, masks.width) == found['img'].shape[:2] == found['img_shape']
    np.testing.assert_allclose(masks.masks[0][0], want)
    corners = np.array([want[0::2].min(), want[1::2].min(), want[0::2].max(), want[1::2].max()])
    clipped = corners.clip(0, np.array([*found['img_shape'][::-1]] * 2))
    np.testing.assert_allclose(found['gt_bboxes'].tensor[0], clipped, rtol=1e-6)
    assert (clipped == corners).all() == (
        factor < 1
    )  # twice as large it is wider than the window, the outline too
    assert len(masks) == len(found['gt_bboxes']) == len(found['gt_bboxes_labels']) == (2 if factor < 1 else 1)
