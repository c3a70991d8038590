"""What people's videos in VSPW's layout hold: masks of other makers, names without zeros, frames of two sizes."""

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from PIL import Image

import mmroad.rankseg.video  # noqa: F401
from mmroad.rankseg.video.consistency import video_consistency
from mmroad.rankseg.video.metrics import VideoSemSegMetric
from mmroad.rankseg.video.transforms import LabelsToInstances, LoadFrame, LoadVideoLabels
from mmroad.rankseg.video.vspw import VSPWDataset, bit_palette
from mmroad.zoo.configs import configs_folder

SIZE = (24, 32)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def write(root, video, frames, masks=None, size=SIZE, suffix='.jpg'):
    """Frames of a video; ``masks`` are Pillow images, a gray one of value 1 by default."""
    for k, name in enumerate(frames):
        for kind in ('origin', 'mask'):
            (root / f'data/{video}/{kind}').mkdir(parents=True, exist_ok=True)
        Image.new('RGB', size[::-1], (k, k, k)).save(root / f'data/{video}/origin/{name}{suffix}')
        mask = masks[k] if masks else Image.new('L', size[::-1], 1)
        mask.save(root / f'data/{video}/mask/{name}.png')


def dataset(root, base='vspw', split='val', names=None, **changes):
    cfg = Config.fromfile(configs_folder() / f'_base_/datasets/{base}.py')[f'{split}_dataloader'].dataset
    if names is not None:
        (root / f'{split}.txt').write_text('\n'.join(names) + '\n')
    return DATASETS.build({**cfg, 'data_root': str(root), **changes})


def labels(data):
    return torch.cat([frame.gt_sem_seg.data for frame in data['data_samples'].video_data_samples]).numpy()


HALVES = np.zeros(SIZE, np.uint8)
HALVES[:, :16] = 1


def palette(values):
    image = Image.fromarray(values)
    image.putpalette([200, 30, 90, 7, 7, 7, *range(30)])
    return image


@pytest.mark.parametrize(
    'mask',
    [
        Image.fromarray(HALVES),
        Image.fromarray(HALVES.astype(bool)),  # 1 bit
        palette(HALVES),
        Image.fromarray(HALVES.astype(np.uint16)),
        Image.fromarray(np.repeat(HALVES[..., None], 3, 2)),  # three equal channels
    ],
    ids=['gray', '1 bit', 'palette', '16 bits', 'rgb'],
)
def test_masks_are_read_by_their_values(tmp_path, mask):
    write(tmp_path, 'v', '12', [mask] * 2)
    data = dataset(tmp_path, names=['v'])[0]
    want = np.where(HALVES == 1, 0, 255)
    assert (labels(data) == want).all() and labels(data).dtype == np.uint8
    other = dataset(tmp_path, 'road_scenes_video')[0]
    assert (labels(other) == HALVES).all()  # there classes count from 0
    metric = VideoSemSegMetric(windows=(1,))
    metric.dataset_meta = VSPWDataset.METAINFO
    for frame in data['data_samples'].video_data_samples:
        frame.pred_sem_seg = PixelData(data=torch.zeros(1, *SIZE, dtype=torch.uint8))
    metric.process({}, [data['data_samples'].to_dict()])
    assert metric.evaluate(1)['mIoU'] == 100


COLORS = np.zeros((*SIZE, 3), np.uint8)
COLORS[3, 5] = 128, 64, 128


@pytest.mark.parametrize(
    'mask, message',
    [
        (Image.fromarray(HALVES[::2, ::2].copy()), r'12 x 16 pixels .*, its image 24 x 32'),
        (Image.fromarray(np.tile(HALVES, (2, 2))), r'48 x 64 pixels .*, its image 24 x 32'),
        (Image.fromarray(COLORS), r'a color image, such as \(128, 64, 128\)'),
        (Image.fromarray(HALVES.astype(np.uint16) * 300), 'values 300 .* are no class'),
    ],
)
@pytest.mark.parametrize('split', ['train', 'val'])
def test_other_masks_are_refused_by_name(tmp_path, mask, message, split):
    write(tmp_path, 'v', '12', [mask] * 2)
    with pytest.raises(ValueError, match='mask/[12].png: .*' + message):
        dataset(tmp_path, split=split, names=['v'])[0]


def test_values_above_the_classes(tmp_path):
    """As published VSPW's own are ignored from 125 on; of other classes there are none."""
    values = HALVES.copy()
    values[0, :3] = 19, 125, 255
    write(tmp_path, 'v', '12', [Image.fromarray(values)] * 2)
    frame = labels(dataset(tmp_path, names=['v'])[0])[0]
    assert frame[0, :3].tolist() == [18, 255, 255]
    for options in (dict(metainfo=dict(classes=('a', 'b'))), dict(base='road_scenes_video')):
        with pytest.raises(ValueError, match='mask/1.png: values 19'):
            dataset(tmp_path, **options)[0]
    with pytest.raises(ValueError, match='300 classes'):
        dataset(tmp_path, metainfo=dict(classes=tuple(map(str, range(300)))))


def test_frames_are_in_natural_order_and_hidden_files_none(tmp_path):
    write(tmp_path, 'v', ['1', '2', '10', '11'])
    write(tmp_path, 'v', ['3'], suffix='.PNG')
    write(tmp_path, 'v', ['frame_9', 'frame_10'])
    for name in ('origin/._1.jpg', 'origin/Thumbs.db', 'mask/._1.png'):
        (tmp_path / 'data/v' / name).write_text('junk')
    (info,) = (dataset(tmp_path, names=['v']).get_data_info(0),)
    names = ['1', '2', '3', '10', '11', 'frame_9', 'frame_10']
    assert [image['img_id'] for image in info['images']] == [f'v/{name}' for name in names]
    assert [image['frame_id'] for image in info['images']] == list(range(7))
    write(tmp_path, 'v', ['2'], suffix='.png')
    with pytest.raises(ValueError, match='origin/2.jpg and .*origin/2.png: two files for one frame'):
        dataset(tmp_path)


def test_lists_of_videos(tmp_path):
    """Names may hold spaces and folders; videos of one base name are written apart."""
    for video in ('my video', 'day/a', 'night/a'):
        write(tmp_path, video, '12')
    data = dataset(tmp_path, names=['\ufeffmy video', '', ' day/a ', 'night/a\r'])
    assert [data.get_data_info(i)['images'][0]['img_id'] for i in range(3)] == [
        'my video/1',
        'day/a/1',
        'night/a/1',
    ]
    metric = VideoSemSegMetric(format_only=True, format_dir=str(tmp_path / 'out'))
    metric.dataset_meta = VSPWDataset.METAINFO
    for i in range(3):
        item = data[i]['data_samples']
        for frame in item.video_data_samples:
            frame.pred_sem_seg = PixelData(data=torch.full((1, *SIZE), i, dtype=torch.uint8))
        metric.process({}, [item.to_dict()])
    written = {
        str(p.relative_to(tmp_path / 'out')): cv2.imread(str(p), -1)[0, 0]
        for p in tmp_path.glob('out/**/2.png')
    }
    assert written == {'my video/2.png': 0, 'day/a/2.png': 1, 'night/a/2.png': 2}
    with pytest.raises(ValueError, match='val.txt: day/a is listed twice'):
        dataset(tmp_path, names=['day/a', 'my video', 'day/a'])
    with pytest.raises(ValueError, match='val.txt: no video'):
        dataset(tmp_path, names=['', ' '])
    (tmp_path / 'val.txt').write_text('day/a', encoding='utf-16')
    with pytest.raises(ValueError, match='val.txt: not a list in UTF-8'):
        dataset(tmp_path)


def test_predictions_stay_below_the_output_folder(tmp_path):
    """Names in a list may be absolute or go up."""
    write(tmp_path, 'v', '12')
    for name in (str(tmp_path / 'data/v'), '../data/v'):
        item = dataset(tmp_path, names=[name])[0]['data_samples']
        metric = VideoSemSegMetric(format_only=True, format_dir=str(tmp_path / 'x/out'))
        metric.dataset_meta = VSPWDataset.METAINFO
        for frame in item.video_data_samples:
            frame.pred_sem_seg = PixelData(data=torch.zeros(1, *SIZE, dtype=torch.uint8))
        before = sorted(p for p in tmp_path.rglob('*.png') if 'out' not in p.parts)
        metric.process({}, [item.to_dict()])
        assert sorted(p for p in tmp_path.rglob('*.png') if 'out' not in p.parts) == before
        assert len(list(tmp_path.glob('x/out/**/*.png'))) in (2, 4)


def test_a_video_without_a_matching_mask_is_named(tmp_path):
    write(tmp_path, 'v', ['1', '2'])
    for path in (tmp_path / 'data/v/mask').iterdir():
        path.rename(path.with_name(f'label_{path.name}'))
    message = 'data/v: none of its 2 frames .* origin/1.jpg and mask/label_1.png'
    with pytest.raises(FileNotFoundError, match=message):
        dataset(tmp_path, names=['v'])
    for path in (tmp_path / 'data/v/mask').iterdir():
        path.unlink()
    assert len(dataset(tmp_path).get_data_info(0)['images']) == 2  # without masks: for predictions
    with pytest.raises(ValueError, match='origin/[12].jpg: a frame without a mask cannot be trained on'):
        dataset(tmp_path, split='train', names=['v'])[0]


@pytest.mark.parametrize('split', ['train', 'val'])
def test_frames_of_two_sizes_are_named(tmp_path, split):
    write(tmp_path, 'v', ['1'])
    write(tmp_path, 'v', ['2'], [Image.new('L', (32, 48), 1)], size=(48, 32))
    message = r'two sizes .*: \S*origin/[12].jpg \((24|48), 32\), \S*origin/[12].jpg \((24|48), 32\)'
    with pytest.raises(ValueError, match=message):
        dataset(tmp_path, split=split, names=['v'])[0]


def test_a_frame_of_another_size_than_its_annotations_say(tmp_path):
    write(tmp_path, 'v', ['1'])
    frame = dict(img_path=str(tmp_path / 'data/v/origin/1.jpg'), height=24, width=32)
    assert LoadFrame()(dict(frame))['ori_shape'] == SIZE
    with pytest.raises(ValueError, match='origin/1.jpg has 24 x 32 pixels .* annotations say 32 x 24'):
        LoadFrame()(dict(frame, height=32, width=24))


def test_consistency_is_of_the_masks_own_values(tmp_path):
    """Raw 0 and raw 255 are no class both, but a pixel that goes from one to the other is not constant."""
    rng = np.random.default_rng(0)
    values = rng.choice([0, 1, 2, 255], (6, *SIZE)).astype(np.uint8)
    values[rng.random(values.shape) < 0.7] = 0
    write(tmp_path, 'v', [str(t) for t in range(6)], [Image.fromarray(x) for x in values])
    data = dataset(tmp_path, names=['v'])[0]['data_samples']
    preds = rng.integers(0, 2, values.shape).astype(np.uint8)
    for frame, pred in zip(data.video_data_samples, preds, strict=True):
        frame.pred_sem_seg = PixelData(data=torch.from_numpy(pred)[None])
    metric = VideoSemSegMetric(windows=(2, 3))
    metric.dataset_meta = VSPWDataset.METAINFO
    metric.process({}, [data.to_dict()])
    scores = metric.evaluate(1)
    for n in (2, 3):
        raw = 100 * video_consistency(values, preds, n).mean()
        joined = 100 * video_consistency(np.where(values == 0, 255, values), preds, n).mean()
        assert scores[f'VC{n}'] == pytest.approx(raw) and abs(raw - joined) > 0.1


def test_labels_are_those_of_the_frame_alone():
    results = dict(gt_seg_map=HALVES, raw_seg_map=HALVES, img_path='a.jpg')
    assert set(LabelsToInstances()(results)) == {
        'gt_masks',
        'gt_bboxes_labels',
        'gt_instances_ids',
        'img_path',
    }
    assert LoadVideoLabels()(dict(img_path='a.jpg')) == dict(img_path='a.jpg')


@pytest.mark.parametrize('count', [255, 256])
def test_as_many_classes_as_label_maps_hold(tmp_path, count):
    write(tmp_path, 'a', ['1'])
    metainfo = dict(classes=[f'c{i}' for i in range(count)])
    if count > 255:
        with pytest.raises(ValueError, match='256 classes; label maps of 8 bits hold 255'):
            dataset(tmp_path, names=['a'], metainfo=metainfo)
    else:
        assert len(dataset(tmp_path, names=['a'], metainfo=metainfo)) == 1


def test_a_sample_says_where_its_frames_are(tmp_path):
    write(tmp_path, 'a', ['2', '10', '1'])
    write(tmp_path, 'b', ['7'])
    data = dataset(tmp_path, names=['b', '', ' a '])
    b, a = (data.get_data_info(i) for i in range(2))
    assert (b['video_id'], a['video_id'], a['video_length']) == (1, 2, 3)
    assert [i['img_id'] for i in a['images']] == ['a/1', 'a/2', 'a/10']
    assert [i['frame_id'] for i in a['images']] == [0, 1, 2]
    assert a['images'][2]['img_path'].endswith('data/a/origin/10.jpg')
    assert a['images'][2]['seg_map_path'].endswith('data/a/mask/10.png')
    assert a['images'][0]['num_classes'] == 124 and a['images'][0]['label_offset'] == 1
    assert a['images'][0]['ignored_labels'] == tuple(range(125, 256))


def test_colors_are_the_bits_of_numbers():
    assert bit_palette(9) == [
        (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128), (128, 128, 128),
        (64, 0, 0), (192, 0, 0),
    ]  # fmt: skip
    assert bit_palette(255)[-1] == (224, 224, 192)
