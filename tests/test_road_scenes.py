"""The synthetic road scenes: layout, boxes against masks, repeatability, and nothing half made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmroad.bdd100k.bitmasks import read_segments
from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.eval import ins_seg, pan_seg
from mmroad.bdd100k.scalabel import DET_CLASSES, load_frames
from mmroad.files.replacing import own_name
from mmroad.road_scenes.objects import OOD_TEST, OOD_TRAIN
from mmroad.road_scenes.scene import SEM_SEG_IDS, Scene
from mmroad.road_scenes.write import write_dataset

WIDTH, HEIGHT = SIZE = (160, 96)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes') / 'made'
    counts = write_dataset(folder, train=60, val=8, ood=6, videos=5, frames=3, size=SIZE, seed=3)
    assert counts['images'] == 68 and counts['boxes'] > 200 and counts['ood'] >= 3
    return folder


def gray(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_labels_and_images_belong_together(root):
    for split, number in (('train', 60), ('val', 8)):
        columns = read_columns(root / f'labels/det_20/det_{split}.json')
        columns.check_boxes()
        assert len(columns.names) == number and not columns.duplicates()
        for name in columns.names:
            assert gray(root / f'images/100k/{split}/{name}').shape == (HEIGHT, WIDTH, 3)
            assert (root / f'images/10k/{split}/{name}').is_file()
            mask = gray(root / f'labels/sem_seg/masks/{split}/{Path(name).stem}.png')
            assert mask.shape == (HEIGHT, WIDTH) and set(np.unique(mask)) <= set(range(19))
        assert set(columns.attribute_values['timeofday']) <= {'daytime', 'night', 'dawn/dusk'}
        assert set(columns.attribute_values['weather']) <= {'clear', 'overcast', 'rainy', 'foggy'}
    train = read_columns(root / 'labels/det_20/det_train.json')
    assert set(train.category) == set(range(len(DET_CLASSES)))
    frames = load_frames(root / 'labels/det_20/det_train.json')
    labels = [label for frame in frames for label in frame.labels]
    assert len({label.id for label in labels}) == len(labels)
    assert {True, False} == {label.attributes['occluded'] for label in labels}


def test_drivable_masks_and_bitmasks_agree_with_the_classes(root):
    for path in (root / 'labels/sem_seg/masks/val').iterdir():
        classes, lanes = gray(path), gray(root / 'labels/drivable/masks/val' / path.name)
        assert ((lanes < 2) == (classes == SEM_SEG_IDS['road'])).all() and set(np.unique(lanes)) <= {0, 1, 2}
        panoptic = read_segments(
            root / 'labels/pan_seg/bitmasks/val' / path.name, pan_seg.CLASSES, (HEIGHT, WIDTH)
        )
        for category, mask in zip(panoptic.categories, panoptic.masks, strict=True):
            name = pan_seg.CLASSES[category - 1].replace('person', 'pedestrian')
            assert (classes[mask] == SEM_SEG_IDS[name]).all(), name
        assert (panoptic.masks.any(0) == (classes != 255)).all()
        instances = read_segments(
            root / 'labels/ins_seg/bitmasks/val' / path.name, ins_seg.CLASSES, (HEIGHT, WIDTH)
        )
        things = panoptic.categories > len(pan_seg.STUFF)
        assert (instances.masks == panoptic.masks[things]).all() and len(instances.masks) == things.sum()


def test_boxes_are_tight_around_what_is_visible(root):
    columns = read_columns(root / 'labels/det_20/det_train.json')
    for frame, category, box in zip(columns.frame, columns.category, columns.xyxy.astype(int)):
        mask = gray(root / f'labels/sem_seg/masks/train/{Path(columns.names[frame]).stem}.png')
        x1, y1, x2, y2 = box
        assert 0 <= x1 < x2 < WIDTH and 0 <= y1 < y2 < HEIGHT
        inside = mask[y1 : y2 + 1, x1 : x2 + 1] == SEM_SEG_IDS[DET_CLASSES[category]]
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


def test_the_official_reader_agrees(root):
    from scalabel.label.io import load

    frames = load(str(root / 'labels/det_20/det_val.json'), nprocs=1).frames
    assert sum(len(frame.labels) for frame in frames) == len(
        read_columns(root / 'labels/det_20/det_val.json')
    )


def test_unknown_objects(root):
    frames = load_frames(root / 'ood/val/det.json')
    assert len(frames) == 6
    for frame in frames:
        mask = gray(root / f'ood/val/masks/{Path(frame.name).stem}.png')
        assert mask.shape == (HEIGHT, WIDTH) and set(np.unique(mask)) <= {0, 1}
        assert (root / 'ood/val/images' / frame.name).is_file()
        for label in frame.labels:
            x1, y1, x2, y2 = (
                int(v) for v in (label.box2d.x1, label.box2d.y1, label.box2d.x2, label.box2d.y2)
            )
            inside = mask[y1 : y2 + 1, x1 : x2 + 1]
            assert label.category == 'ood'
            assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
    assert not set(OOD_TRAIN) & set(OOD_TEST)
    pool = sorted((root / 'ood/train/masks').iterdir())
    assert len(pool) == 40
    for path in pool:
        assert set(np.unique(gray(path))) == {0, 254}
        assert gray(root / f'ood/train/images/{path.stem}.jpg').shape[:2] == gray(path).shape


def test_videos_move(root):
    assert (root / 'videos/train.txt').read_text().split() == [f'video-{i:04d}' for i in range(4)]
    assert (root / 'videos/val.txt').read_text() == 'video-0004\n'
    video = root / 'videos/data/video-0004'
    assert sorted(p.name for p in (video / 'origin').iterdir()) == [f'{t:08d}.jpg' for t in range(3)]
    moved = False
    for video in (root / 'videos/data').iterdir():
        first, last = (gray(video / f'mask/{t:08d}.png') for t in (0, 2))
        moved |= bool((first != last).any())
        assert (first == last).mean() > 0.8  # the camera stands still
    assert moved


def test_same_seed_same_bytes(tmp_path):
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        write_dataset(tmp_path / name, train=2, val=1, ood=1, size=SIZE, seed=seed)
    files = [p.relative_to(tmp_path / 'a') for p in (tmp_path / 'a').rglob('*') if p.is_file()]
    assert len(files) == 3 + 3 * 6 + 2 + 80  # labels, six of each scene, two of the odd one, the pool
    assert all((tmp_path / 'a' / f).read_bytes() == (tmp_path / 'b' / f).read_bytes() for f in files)
    image = 'images/100k/train/train-00000.jpg'
    assert (tmp_path / 'a' / image).read_bytes() != (tmp_path / 'c' / image).read_bytes()


def test_night_is_darker_than_day():
    brightness = {}
    for seed in range(40):
        scene = Scene(seed, SIZE)
        brightness.setdefault(scene.timeofday, []).append(scene.render().image.mean())
    means = {time: np.mean(values) for time, values in brightness.items()}
    assert means['night'] < 0.6 * means['daytime'] and means['dawn/dusk'] < means['daytime']


def test_whole_or_not_there(tmp_path):
    def stop():
        raise KeyboardInterrupt

    target = tmp_path / 'scenes'
    with pytest.raises(KeyboardInterrupt):
        write_dataset(target, train=2, val=1, ood=1, size=SIZE, progress=stop)
    assert not target.exists()
    write_dataset(target, train=1, val=1, ood=1, size=SIZE)
    assert [p.name for p in tmp_path.iterdir()] == ['scenes']  # what the stopped run left is gone
    with pytest.raises(FileExistsError, match='--force'):
        write_dataset(target, train=2, val=1, ood=1, size=SIZE)
    write_dataset(target, train=2, val=1, ood=1, size=SIZE, force=True)
    assert len(json.loads((target / 'labels/det_20/det_train.json').read_text())) == 2


@pytest.mark.parametrize('made', [True, False])
def test_force_replaces_road_scenes_alone(tmp_path, made):
    """Never a folder with files of the user's own, such as BDD100K itself, which has the same layout."""
    target, options = tmp_path / 'data', dict(train=1, val=0, ood=0, size=SIZE, force=True)
    if made:
        write_dataset(target, **options)
    mine = target / ('checkpoints/best.pth' if made else 'images/100k/val/a.jpg')
    mine.parent.mkdir(parents=True)
    mine.write_text('mine')
    with pytest.raises(
        FileExistsError, match='data holds other files than road scenes .*(checkpoints|images)'
    ):
        write_dataset(target, **options)
    assert mine.read_text() == 'mine' and [p.name for p in tmp_path.iterdir()] == ['data']
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path / 'empty')
    write_dataset(tmp_path / 'link', **options)
    assert (tmp_path / 'link').is_symlink() and (tmp_path / 'empty/images').is_dir()
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(FileExistsError, match='holds other files'):
        write_dataset(tmp_path / 'file', **options)


def test_what_killed_runs_left_is_removed(tmp_path):
    done = subprocess.run(
        [sys.executable, '-c', 'import os; print(os.getpid())'], capture_output=True, text=True
    )
    own = own_name('scenes')
    dead, alive = (tmp_path / own.replace(f'-{os.getpid()}-', f'-{pid}-') for pid in (int(done.stdout), 1))
    for part in (dead, alive):
        part.mkdir()
    write_dataset(tmp_path / 'scenes', train=1, val=0, ood=0, size=SIZE)
    assert not dead.exists() and alive.exists()  # another run into the same folder goes on
    assert {path.name for path in tmp_path.iterdir()} == {'scenes', alive.name}


@pytest.mark.parametrize(('videos', 'val'), [(1, []), (2, [1]), (3, [2]), (11, [4, 9])])
def test_of_several_videos_some_are_held_out(tmp_path, videos, val):
    write_dataset(tmp_path / 'a', train=0, val=0, ood=0, videos=videos, frames=1, size=(32, 24))
    names = {split: (tmp_path / f'a/videos/{split}.txt').read_text().split() for split in ('train', 'val')}
    assert names['val'] == [f'video-{i:04d}' for i in val] and len(names['train']) == videos - len(val)


@pytest.mark.parametrize('wrong', [dict(train=-1), dict(videos=-1), dict(frames=0), dict(size=(0, 96))])
def test_numbers_that_make_no_scenes(tmp_path, wrong):
    with pytest.raises(ValueError, match='too few'):
        write_dataset(tmp_path / 'a', **{**dict(train=1, val=0, ood=0, size=SIZE), **wrong})


def test_tool(tmp_path):
    command = [
        sys.executable,
        *('-m', 'mmroad', 'data', 'road-scenes'),
        '--out',
        str(tmp_path / 'd'),
        '--train',
        '2',
        '--val',
        '1',
        '--ood',
        '1',
    ]
    done = subprocess.run([*command, '--size', '128', '64'], capture_output=True, text=True, check=True)
    assert '3 scenes' in done.stdout
    assert gray(tmp_path / 'd/images/100k/val/val-00000.jpg').shape == (64, 128, 3)
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode != 0 and '--force' in again.stderr
