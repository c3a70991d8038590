"""Drives: objects keep their ids, leave and come back; the camera and the stride move the boxes."""

import numpy as np
import pytest

from mmroad.bdd100k.track_columns import TRACK_CLASSES, read_track_columns
from mmroad.files.boxes import iou
from mmroad.road_scenes.drive import Drive
from mmroad.road_scenes.write import write_dataset

SIZE = (160, 96)


def boxes_of(drive, frames):
    """Of each frame, category and box by id."""
    return [
        {box['id']: (box['category'], list(box['box2d'].values())) for box in drive.render(t).boxes}
        for t in range(frames)
    ]


def moved(stride, ego, seeds=range(6)):
    """The mean IoU of an object's boxes in frames that follow each other."""
    overlaps = []
    for seed in seeds:
        found = boxes_of(Drive(seed, SIZE, 8, stride, ego), 8)
        for one, other in zip(found, found[1:]):
            for track in one.keys() & other.keys():
                a, b = (np.array([frame[track][1]], float) for frame in (one, other))
                overlaps.append(iou(a, b)[0, 0])
    return np.mean(overlaps)


def test_an_id_is_one_object_that_comes_back():
    away = 0
    for seed in range(8):
        found, drive = boxes_of(Drive(seed, SIZE, 40), 40), Drive(seed, SIZE, 40)
        for track in set().union(*found):
            frames = [t for t, frame in enumerate(found) if track in frame]
            assert len({found[t][track][0] for t in frames}) == 1
            away += frames != list(range(frames[0], frames[-1] + 1))
        assert [sorted(f) for f in boxes_of(drive, 3)] == [sorted(f) for f in found[:3]]  # a seed is a drive
    assert away >= 5


def test_the_camera_and_the_stride_move_the_boxes():
    still, driving, far = moved(1, 0), moved(1, 1), moved(4, 1)
    assert still > 0.9 > driving > far + 0.1


def test_there_are_groups_of_people():
    drives = [Drive(seed, SIZE, 4) for seed in range(8)]
    tracks = {drive: {box['id'] for t in range(4) for box in drive.render(t).boxes} for drive in drives}
    crowds = [track for drive in drives for track in tracks[drive] if drive.is_crowd(track)]
    assert 0 < len(crowds) < 8


def test_what_is_written(drives):
    truth = read_track_columns(drives / 'labels/box_track_20/train')
    assert len(truth.names) == 32 and len(truth.by_video()) == 4
    assert set(truth.category.tolist()) <= set(range(len(TRACK_CLASSES)))
    for name, video in zip(truth.names, truth.videos):
        assert (drives / 'images/track/train' / video / name).is_file()
    assert truth.frame_index[truth.by_video()[truth.videos[0]]].tolist() == list(range(8))
    assert set(truth.attribute_values['timeofday']) <= {'daytime', 'night', 'dawn/dusk'}


@pytest.mark.parametrize('options', [dict(tracks=-1), dict(stride=0), dict(ego=-1)])
def test_arguments(tmp_path, options):
    with pytest.raises(ValueError, match='too few'):
        write_dataset(tmp_path / 'a', train=0, val=0, ood=0, **options)
