"""browse_dataset.py draws what outlier and video models learn from."""

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from mmroad.anomaly.pictures import OUTLIER_COLOR, truth_picture
from mmroad.commands import main
from mmroad.rankseg.video.pictures import truth_frames
from mmroad.road_scenes.write import write_dataset


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('browse')
    write_dataset(root / 'data/road_scenes', train=4, val=1, ood=3, videos=5, frames=4, size=(128, 96))
    return root


def browse(root, monkeypatch, *args):
    monkeypatch.chdir(root)
    main(['browse', *map(str, args)])


@pytest.mark.parametrize(
    ('name', 'shape'),
    [
        ('rba_small_1dl_ood_road_scenes', None),
        ('abet_deepv3plus_r18_road_scenes_ood', None),
        ('rankseg_small_road_scenes_video', 2),
    ],
)
def test_pictures_of_every_kind(root, monkeypatch, tmp_path, name, shape):
    browse(root, monkeypatch, name, '--out', tmp_path, '--num', 3)
    pictures = [cv2.imread(str(path)) for path in sorted(tmp_path.iterdir())]
    assert len(pictures) == 3 and all(picture.std() > 10 for picture in pictures)
    if shape:  # two frames side by side
        assert all(picture.shape[1] == 2 * 4 / 3 * picture.shape[0] for picture in pictures)


def test_pasted_outliers_are_seen(root, monkeypatch, tmp_path):
    drawn = []

    def picture(image, labels, palette):
        drawn.append((labels == 254).sum())
        return truth_picture(image, labels, palette)

    monkeypatch.setattr('mmroad.anomaly.visualizer.truth_picture', picture)
    for prob in (0, 1):
        browse(root, monkeypatch, 'rba_small_1dl_ood_road_scenes', '--out', tmp_path,
               '--cfg-options', f'train_dataloader.dataset.pipeline.2.prob={prob}')  # fmt: skip
    assert len(drawn) == 8 and not any(drawn[:4]) and any(drawn[4:])


def test_sources_stay(root, monkeypatch):
    folder = root / 'data/road_scenes/images/10k/train'
    before = sorted((path.name, path.read_bytes()) for path in folder.iterdir())
    with pytest.raises(SystemExit, match='is a source in the output folder'):
        browse(root, monkeypatch, 'rba_small_1dl_ood_road_scenes', '--out', folder)
    assert sorted((path.name, path.read_bytes()) for path in folder.iterdir()) == before


def test_labels_by_hand():
    image = np.full((20, 30, 3), 100, np.uint8)
    labels = np.full((20, 30), 255)
    labels[:, :5], labels[:, 5:10], labels[5:15, 15:25] = 0, 1, 254
    picture = truth_picture(image, labels, [[0, 0, 200]])
    assert picture[0, 0].tolist() == [160, 40, 40]
    assert picture[0, 7].tolist() == picture[0, 12].tolist() == [100, 100, 100]  # no class, void
    want = [round(0.4 * 100 + 0.6 * c) for c in OUTLIER_COLOR[::-1]]
    assert np.abs(picture[10, 20].astype(int) - want).max() <= 1
    assert picture[5, 20].tolist() == [255, 255, 255]  # its outline


def test_an_instance_has_one_color_in_all_frames():
    def sample(masks, numbers):
        instances = InstanceData(
            masks=BitmapMasks(np.array(masks, np.uint8), 40, 60), labels=torch.zeros(len(numbers), dtype=torch.long),
            instances_ids=torch.tensor(numbers),
        )  # fmt: skip
        return type('Sample', (), dict(gt_instances=instances))()

    left, right = np.zeros((40, 60), np.uint8), np.zeros((40, 60), np.uint8)
    left[20:38, 5:25], right[20:38, 35:55] = 1, 1
    frames = np.full((2, 40, 60, 3), 100, np.uint8)
    picture = truth_frames(frames, [sample([left, right], [7, 3]), sample([left], [7])], ['car'])
    assert picture.shape == (40, 120, 3)
    assert picture[30, 15].tolist() == picture[30, 75].tolist() != [100, 100, 100]
    assert picture[30, 45].tolist() not in (picture[30, 15].tolist(), [100, 100, 100])
    assert picture[30, 105].tolist() == [100, 100, 100]
