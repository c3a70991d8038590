import contextlib
import importlib.util
import json

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from PIL import Image, PngImagePlugin

import mmroad.anomaly.register  # noqa: F401
from mmroad.anomaly.datasets import AnomalyDataset
from mmroad.anomaly.io import find_map, load_map, save_map
from mmroad.anomaly.layouts import LAYOUTS, OBSTACLE_LEFT_OUT, find_pairs, read_mask


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


def image(path, value=0, shape=(6, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*shape, 3) if path.suffix == '.jpg' else shape, value, np.uint8))


def make(layout, root):
    """One small data set of a layout; returns the number of its pairs."""
    if layout == 'road_anomaly':
        for name in ('a', 'b'):
            image(root / f'RoadAnomaly_jpg/frames/{name}.jpg')
            image(root / f'RoadAnomaly_jpg/frames/{name}.labels/labels_semantic.png', 2)
        (root / 'RoadAnomaly_jpg/frame_list.json').write_text(json.dumps(['a.jpg', 'b.jpg']))
        return 2
    if layout in ('road_anomaly_synboost', 'masks'):
        images, masks = dict(masks=('images', 'masks')).get(layout, ('original', 'labels'))
        image(root / images / 'a.jpg')
        image(root / masks / 'a.png', 1)
        return 1
    if layout == 'fishyscapes_laf':
        image(root / 'fishyscapes_lostandfound/0003_04_Street_labels.png', 1)
        image(root / 'laf_images/04_Street_leftImg8bit.png')
        return 1
    if layout.startswith('fishyscapes_static'):
        v = layout[-1]
        image(root / f'fs_val_v{v}/0001_x_labels.png', 255)
        image(root / f'fs_static_images_v{v}/0001_x_rgb.png')
        return 1
    if layout.startswith('smiyc'):
        folder = 'dataset_AnomalyTrack' if 'anomaly' in layout else 'dataset_ObstacleTrack'
        for name in ('validation_1', 'validation_19', 'validation_21'):
            image(root / folder / f'images/{name}.jpg')
            image(root / folder / f'labels_masks/{name}_labels_semantic.png', 1)
        image(root / folder / 'images/validations_1.jpg')
        (root / folder / 'images/validations_1.jpg').rename(root / folder / 'images/test_1.jpg')
        return 3 if layout == 'smiyc_anomaly' else 1
    if layout == 'images':
        image(root / 'a.jpg')
        return 1
    if layout.startswith('issu'):
        for name in (
            'static_0_009599',
            'static_fog_1',
            'static_rain_2',
            'temporal_99_520',
            'temporal_5_1',
            'other',
        ):
            image(root / f'dataset_ISSUTrack/images/{name}.png')
            image(root / f'dataset_ISSUTrack/labels_masks/{name}.png', 254)
        of_scenes = 3 if 'static' in layout else 2
        return of_scenes - 1 if layout.endswith('lowlight') else 1 if layout.endswith('normal') else of_scenes
    if layout == 'ade_ood':
        image(root / 'images/ADE_val_00000001.jpg')
        image(root / 'annotations/ADE_val_00000001_mask.png', 1)
        return 1
    image(root / 'leftImg8bit/test/street/a_leftImg8bit.png')
    image(root / 'gtCoarse/test/street/a_gtCoarse_labelTrainIds.png', 2)
    return 1


@pytest.mark.parametrize('layout', LAYOUTS)
def test_layouts_pair_images_with_masks(layout, tmp_path):
    number = make(layout, tmp_path)
    published = LAYOUTS[layout].images
    with (
        contextlib.nullcontext() if published is None else pytest.warns(UserWarning, match=f'set {published}')
    ):
        pairs = find_pairs(layout, tmp_path)
    assert len(pairs) == number and all(a.is_file() for a, _ in pairs)
    if layout == 'images' or layout.endswith('test'):
        assert [mask for _, mask in pairs] == [None] and pairs[0][0].name in ('a.jpg', 'test_1.jpg')
        return
    assert all(mask.is_file() for _, mask in pairs)
    values = set(np.unique(read_mask(pairs[0][1], layout)))
    assert values == ({255} if layout.startswith('fishyscapes_static') else {1})


def test_masks_of_several_classes(tmp_path):
    values = np.array([[0, 1, 18, 19, 254, 255]], np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), values)
    for layout, wanted in (
        ('issu_anomaly_static', [0, 0, 0, 255, 1, 255]),  # 19 classes of Cityscapes
        ('issu_obstacle_temporal_lowlight', [0, 255, 255, 255, 1, 255]),  # the road alone
        ('ade_ood', [0, 1, 0, 0, 0, 255]),
    ):
        assert read_mask(tmp_path / 'a.png', layout).tolist() == [wanted]


def test_own_images_in_folders_have_their_masks_in_the_same(tmp_path):
    for name in ('a', 'drive 1/b', 'drive 1/far/c', '.ipynb_checkpoints/a-checkpoint'):
        image(tmp_path / f'images/{name}.jpg')
        image(tmp_path / f'masks/{name}.png', 1)
    pairs = find_pairs('masks', tmp_path)
    assert [mask.relative_to(tmp_path / 'masks').as_posix() for _, mask in pairs] == [
        'a.png', 'drive 1/b.png', 'drive 1/far/c.png',
    ]  # fmt: skip
    (tmp_path / 'masks/drive 1/b.png').rename(tmp_path / 'masks/b.png')
    with pytest.raises(FileNotFoundError, match=r'drive 1/b.jpg: .* looked for .*masks/drive 1/b.png'):
        find_pairs('masks', tmp_path)


@pytest.mark.parametrize('layout', LAYOUTS)
def test_hidden_files_are_no_images_and_what_is_missing_is_said(layout, tmp_path):
    make(layout, tmp_path)
    for path in [path for path in tmp_path.rglob('*') if path.is_file()]:
        (path.parent / f'._{path.name}').write_bytes(b'macOS')
    with contextlib.nullcontext() if LAYOUTS[layout].images is None else pytest.warns(UserWarning):
        pairs = find_pairs(layout, tmp_path)
    assert not any(path.name.startswith('.') for pair in pairs for path in pair if path is not None)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError) as told:
        find_pairs(layout, tmp_path / 'empty')
    assert LAYOUTS[layout].files in str(told.value) and LAYOUTS[layout].source in str(told.value)
    with pytest.raises(FileNotFoundError, match=rf'nowhere: no such folder, for {layout}'):
        find_pairs(layout, tmp_path / 'nowhere')
    masks = [mask for _, mask in pairs if mask is not None]
    if masks and 'fishyscapes' not in layout:  # which are found from their masks
        masks[0].unlink()
        with pytest.raises(
            FileNotFoundError, match=rf'{pairs[0][0]}: this image has no mask .*looked for {masks[0]}'
        ):
            find_pairs(layout, tmp_path)
    elif masks:
        pairs[0][0].unlink()
        with pytest.raises(
            FileNotFoundError, match=rf'no image of the mask {masks[0]}: looked for .*{pairs[0][0]}'
        ):
            find_pairs(layout, tmp_path)


def test_label_codes():
    assert LAYOUTS['lost_and_found'].labels == {1: 0, 2: 1} and LAYOUTS['road_anomaly'].labels == {
        0: 0,
        1: 1,
        2: 1,
    }
    assert len(OBSTACLE_LEFT_OUT) == 10
    others = set(LAYOUTS) - {
        'lost_and_found',
        'road_anomaly',
        'images',
        'smiyc_anomaly_test',
        'smiyc_obstacle_test',
        'ade_ood',
    }
    others = {name for name in others if not name.startswith('issu')}
    assert all(LAYOUTS[name].labels == {0: 0, 1: 1} for name in others)


def test_published_numbers_of_images_and_what_is_looked_for():
    numbers = {name: layout.images for name, layout in LAYOUTS.items() if layout.images}
    issu = dict(
        static=980,
        static_normal=848,
        static_lowlight=132,
        temporal=1138,
        temporal_normal=868,
        temporal_lowlight=270,
    )
    assert numbers == dict(
        road_anomaly=60, road_anomaly_synboost=60, fishyscapes_laf=100, fishyscapes_static_v1=30,
        fishyscapes_static_v2=30, smiyc_anomaly=10, smiyc_obstacle=30, lost_and_found=1203,
        **{f'issu_{track}_{name}': images for track in ('anomaly', 'obstacle') for name, images in issu.items()},
    )  # fmt: skip
    assert issu['static'] + issu['temporal'] == 2118
    for version in (1, 2):
        files = LAYOUTS[f'fishyscapes_static_v{version}'].files
        assert files == f'fs_val_v{version}/*_labels.png, fs_static_images_v{version}/*_rgb.png'


def test_colors_of_the_classes():
    palette = AnomalyDataset.METAINFO['palette']
    assert palette == [[0, 0, 0], [255, 102, 0]]  # black and orange


def test_images_without_masks_are_refused_by_name(tmp_path):
    make('masks', tmp_path)
    image(tmp_path / 'images/b.jpg')
    with pytest.raises(FileNotFoundError, match=r'b\.jpg: this image has no mask \(1 of 2 have none\)'):
        AnomalyDataset('masks', str(tmp_path))
    with pytest.raises(FileNotFoundError, match='no images of fishyscapes_laf there: looked for .*https'):
        find_pairs('fishyscapes_laf', tmp_path)
    with pytest.raises(KeyError, match='no layout is called'):
        find_pairs('nowhere', tmp_path)


@pytest.mark.parametrize('kind', ['npz', 'png', 'smiyc'])
def test_maps_are_read_back(kind, tmp_path):
    if kind == 'smiyc':
        pytest.importorskip('h5py')
    anomaly = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    save_map(tmp_path / 'a', anomaly, kind)
    step = (anomaly.max() - anomaly.min()) / 65535
    tolerance = dict(npz=0, png=0.51 * step, smiyc=2e-3)[kind]  # half a step: rounded, not cut
    assert np.abs(load_map(find_map(tmp_path, 'a')) - anomaly).max() <= tolerance
    with pytest.raises(FileNotFoundError, match='no anomaly map'):
        find_map(tmp_path, 'b')


def test_equal_names_are_refused(tmp_path):
    make('masks', tmp_path)
    image(tmp_path / 'images/a.png')
    with pytest.raises(ValueError, match=r'a\.jpg and .*a\.png: two images of one name'):
        find_pairs('masks', tmp_path)
    make('lost_and_found', tmp_path / 'laf')
    image(tmp_path / 'laf/leftImg8bit/test/other/a_leftImg8bit.png')
    image(tmp_path / 'laf/gtCoarse/test/other/a_gtCoarse_labelTrainIds.png', 2)
    with pytest.raises(
        ValueError, match=r'other/a_leftImg8bit\.png and .*street/a_leftImg8bit\.png: two images'
    ):
        find_pairs('lost_and_found', tmp_path / 'laf')


def test_a_damaged_list_of_frames_is_named(tmp_path):
    make('road_anomaly', tmp_path)
    listed = tmp_path / 'RoadAnomaly_jpg/frame_list.json'
    for content in ('', '["a.jpg"', '5', '[5]', '[' * 100_000):
        listed.write_text(content)
        with pytest.raises(ValueError, match=r'frame_list\.json: not a list of names of images'):
            find_pairs('road_anomaly', tmp_path)
    listed.write_text('["a.jpg", "c.jpg", "d.jpg"]')
    with pytest.raises(FileNotFoundError, match=r'c\.jpg: no such image, but .*frame_list\.json names it'):
        find_pairs('road_anomaly', tmp_path)


def save(path, array, mode=None):
    Image.fromarray(array, mode).save(path)
    return path


def test_masks_of_other_kinds_and_values(tmp_path):
    """1-bit and palette masks are read as they are meant; colors, sizes and unknown values are refused."""
    mask, path = np.uint8([[0, 1, 1], [1, 0, 0]]), tmp_path / 'm.png'
    assert np.array_equal(read_mask(save(path, mask.astype(bool)), 'masks'), mask)
    palette = Image.fromarray(mask)
    palette = Image.frombytes('P', palette.size, mask.tobytes())
    palette.putpalette([9, 9, 9, 200, 0, 0] + [0] * 762)
    palette.save(path)
    assert np.array_equal(read_mask(path, 'masks', (2, 3)), mask)
    assert np.array_equal(read_mask(save(path, np.dstack([mask] * 3)), 'masks'), mask)
    assert np.array_equal(read_mask(save(path, mask.astype(np.uint16)), 'masks'), mask)
    with pytest.raises(ValueError, match=r'm\.png: a color image'):
        read_mask(save(path, np.dstack([mask, mask, 1 - mask])), 'masks')
    with pytest.raises(ValueError, match=r'm\.png: the label map has 2 x 3 pixels .* its image 3 x 2'):
        read_mask(save(path, mask), 'masks', (3, 2))
    with pytest.raises(
        ValueError, match=r'm\.png: values 2, 254 in a mask of masks; expected 0 \(inlier\), 1 \(outl'
    ):
        read_mask(save(path, np.uint8([[0, 2, 254, 255]])), 'masks')
    with pytest.raises(ValueError, match='values 257'):
        read_mask(save(path, np.uint16([[0, 257]])), 'masks')
    assert read_mask(save(path, np.uint8([[0, 1, 2, 3, 255]])), 'lost_and_found').tolist() == [
        [255, 0, 1, 255, 255]
    ]
    path.write_bytes(save(path, mask).read_bytes()[:45])
    with pytest.raises(ValueError, match=r'm\.png: not a label map that can be read'):
        read_mask(path, 'masks')


def test_a_mask_of_another_size_is_named_in_the_test_loop(tmp_path):
    make('masks', tmp_path)
    image(tmp_path / 'masks/a.png', 1, (8, 6))
    dataset = AnomalyDataset(
        'masks', str(tmp_path), pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnomalyMask')]
    )
    with pytest.raises(ValueError, match=r'masks/a\.png: the label map has 8 x 6 pixels .* its image 6 x 8'):
        dataset[0]


def test_images_without_masks_are_loaded_for_their_maps(tmp_path):
    make('smiyc_anomaly', tmp_path)
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnomalyMask'), dict(type='PackSegInputs')]
    (item,) = AnomalyDataset('smiyc_anomaly_test', str(tmp_path), pipeline=pipeline)
    assert item['inputs'].shape == (3, 6, 8) and 'gt_sem_seg' not in item['data_samples']


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int64, bool, np.float16, '>f8'])
def test_npy_maps_of_every_type_keep_their_values(dtype, tmp_path):
    values = np.arange(6).reshape(2, 3).astype(dtype)
    for shape in ((2, 3), (1, 2, 3), (2, 3, 1), (1, 1, 2, 3)):
        np.save(tmp_path / 'a.npy', values.reshape(shape))
        got = load_map(tmp_path / 'a.npy')
        assert np.array_equal(got, values) and got.dtype.isnative and got.dtype != bool


def test_gray_images_of_other_makers(tmp_path):
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for array in (
        values,
        values.astype(np.uint16),
        np.dstack([values] * 3),
        np.dstack([values] * 3 + [values * 0 + 7]),
    ):
        got = load_map(save(tmp_path / 'a.png', array))
        assert np.array_equal(got, values) and got.dtype == np.uint16
    assert load_map(save(tmp_path / 'a.png', values > 2)).tolist() == [[0, 0, 0], [1, 1, 1]]
    with pytest.raises(ValueError, match=r'a\.png: a color image, .* expected one channel'):
        load_map(save(tmp_path / 'a.png', np.dstack([values] * 2 + [values + 1])))
    Image.fromarray(values).convert('P').save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match=r'a\.png: an image with a palette'):
        load_map(tmp_path / 'a.png')


def test_maps_that_cannot_be_read_say_what_is_there(tmp_path):
    np.savez(tmp_path / 'a.npz', scores=np.zeros((2, 2)), names=np.zeros(2))
    with pytest.raises(KeyError, match=r'a\.npz: no array "anomaly"; there are scores, names'):
        load_map(tmp_path / 'a.npz')
    h5py = pytest.importorskip('h5py')
    with h5py.File(tmp_path / 'a.hdf5', 'w') as file:
        file['prob'] = np.zeros((2, 2))
    with pytest.raises(KeyError, match=r'a\.hdf5: no array "value"; there are prob'):
        load_map(tmp_path / 'a.hdf5')
    with h5py.File(tmp_path / 'a.hdf5', 'w') as file:
        file.create_group('value')['prob'] = np.zeros((2, 2))
    with pytest.raises(KeyError, match=r'a\.hdf5: "value" is a group, with prob'):
        load_map(tmp_path / 'a.hdf5')
    for name in ('a.npz', 'a.npy', 'a.hdf5', 'a.png'):
        for content in (b'', b'junk', b'<html>'):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ValueError, match=rf'{name}: not an? anomaly map that can be read') as error:
                load_map(tmp_path / name)
            assert 'unsafely' not in str(error.value)  # no advice to run what is in it
    with open(tmp_path / 'a.npy', 'wb') as file:
        np.savez(file, anomaly=np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r'a\.npy: not an anomaly map that can be read .*magic string'):
        load_map(tmp_path / 'a.npy')
    for array, message in (
        (np.zeros((0, 4)), r'shape \(0, 4\), expected an anomaly map'),
        (np.zeros((2, 3, 4)), r'shape \(2, 3, 4\)'),
        (np.zeros(5), r'shape \(5,\)'),
        (np.array(['a']), 'values of type <U1'),
        (np.array([{}]), 'Object arrays'),
    ):
        np.save(tmp_path / 'a.npy', array)
        with pytest.raises(ValueError, match=rf'a\.npy: .*{message}'):
            load_map(tmp_path / 'a.npy')
    with pytest.raises(FileNotFoundError, match=r'b\.npy: no such anomaly map'):
        load_map(tmp_path / 'b.npy')
    with pytest.raises(ValueError, match=r'b\.exr: an anomaly map is one of'):
        load_map(tmp_path / 'b.exr')
    text = PngImagePlugin.PngInfo()
    text.add_text('low', '3')
    Image.fromarray(np.zeros((2, 2), np.uint16)).save(tmp_path / 'a.png', pnginfo=text)
    with pytest.raises(ValueError, match=r'a\.png: its text gives 3.0 to nan'):
        load_map(tmp_path / 'a.png')


def test_two_maps_of_one_image_are_refused(tmp_path):
    save_map(tmp_path / 'a', np.zeros((2, 2)), 'npz')
    save_map(tmp_path / 'a', np.zeros((2, 2)), 'png')
    with pytest.raises(ValueError, match=r'a\.npz and .*a\.png are maps of one image'):
        find_map(tmp_path, 'a')


def test_what_a_map_cannot_hold_is_told_when_it_is_written(tmp_path):
    with pytest.raises(ValueError, match=r'a\.npz: the anomaly map holds values that are not numbers'):
        save_map(tmp_path / 'a', np.array([[np.nan, 1]]))
    with pytest.raises(ValueError, match='the kind png does not hold; write npz'):
        save_map(tmp_path / 'a', np.array([[np.inf, 1]]), 'png')
    with pytest.raises(ValueError, match='no kind of anomaly map is called .tif.'):
        save_map(tmp_path / 'a', np.zeros((2, 2)), 'tif')
    pytest.importorskip('h5py')
    with pytest.raises(ValueError, match='from 1.0 to 70000.0, which the kind smiyc does not hold'):
        save_map(tmp_path / 'a', np.array([[7e4, 1]]), 'smiyc')
    assert not list(tmp_path.iterdir())
    for low, high in ((2.0, 2.0), (1.0, 1.0 + 1e-13), (-1e30, 1e30)):
        values = np.array([[low, high]])
        save_map(tmp_path / 'a', values, 'png')
        assert np.allclose(load_map(tmp_path / 'a.png'), values, rtol=1e-6, atol=0)


@pytest.mark.filterwarnings('ignore')
def test_damaged_maps_are_read_or_named(tmp_path):
    """Bytes changed, cut and doubled in every form: what the libraries raise ends with the file's name."""
    rng, anomaly, refused = np.random.default_rng(0), np.arange(60.0).reshape(6, 10), 0
    kinds = ['npz', 'png'] + ['smiyc'] * (importlib.util.find_spec('h5py') is not None)
    paths = [save_map(tmp_path / 'a', anomaly, kind) for kind in kinds]
    np.save(tmp_path / 'a.npy', anomaly)
    paths.append(tmp_path / 'a.npy')
    sources = {path: path.read_bytes() for path in paths}
    for number in range(240):
        path = paths[number % len(paths)]
        data = bytearray(sources[path])
        for _ in range(rng.integers(1, 6)):
            place, kind = int(rng.integers(min(len(data), 700))), rng.integers(4)
            if kind == 0:
                data[place] = int(rng.integers(256))
            elif kind == 1:
                del data[place : place + int(rng.integers(1, 9))]
            elif kind == 2:
                data[place:place] = data[: int(rng.integers(1, 9))]
            else:
                data[place : place + 4] = rng.bytes(4)
        path.write_bytes(data)
        try:
            assert load_map(path).ndim == 2
        except (ValueError, KeyError) as error:
            refused += 1
            assert error.args[0].startswith(f'{path}: ')
    assert 100 < refused < 240
