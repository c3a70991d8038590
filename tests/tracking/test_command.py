"""mmroad track: a video and a folder of frames, with a detector and with a model that tracks."""

import json

import cv2
import numpy as np
import pytest
import torch

from mmroad.commands import main
from mmroad.detic.vocabulary import Vocabulary, classifier_matrix, save_vocabulary
from mmroad.inference.tracking import TrackInferencer
from mmroad.zoo.configs import configs_folder, get_config
from mmroad.zoo.models import init_model

DETECTOR = 'faster_rcnn_r18_fpn_quickstart'
TRACKS = 'qdtrack-frcnn_r18_fpn_road_scenes'
LOW = dict(high=0.05, low=0.01, init=0.05)  # of weights that know nothing


@pytest.fixture(scope='module')
def folder(tmp_path_factory, drives):
    """Four frames, of which one is broken, in a folder with a blank."""
    source = tmp_path_factory.mktemp('source') / 'a drive'
    source.mkdir()
    (video,) = (drives / 'images/track/val').iterdir()
    for path in sorted(video.iterdir())[:4]:
        (source / path.name).write_bytes(path.read_bytes())
    (sorted(source.iterdir())[1]).write_bytes(b'no image')
    return source


def contents(path):
    return json.loads(path.read_text())


def test_a_folder_with_a_detector(folder, tmp_path, capsys):
    options = ['--weights', 'none', '--high', '0.05', '--low', '0.01', '--init', '0.05', '--classes', 'vote']
    with pytest.raises(SystemExit) as error:
        main(['track', str(folder), '--detector', DETECTOR, *options, '--out', str(tmp_path / 'out')])
    assert error.value.code == 1 and 'left out (1)' in capsys.readouterr().err
    frames = contents(tmp_path / 'out/box_track.json')['frames']
    assert [f['frameIndex'] for f in frames] == [0, 1, 2, 3] and {f['videoName'] for f in frames} == {
        'a drive'
    }
    assert not frames[1]['labels'] and frames[0]['labels']
    coco = contents(tmp_path / 'out/coco_vid.json')
    assert len(coco['images']) == 4 and coco['images'][1]['width'] == 160
    lines = (tmp_path / 'out/mot/a drive.txt').read_text().splitlines()
    assert len(lines) == len(coco['annotations']) == sum(len(f['labels']) for f in frames)
    pictures = sorted(p.name for p in (tmp_path / 'out/pictures').iterdir())
    assert pictures == [f['name'] for i, f in enumerate(frames) if i != 1]


def test_a_model_that_tracks(folder):
    track = TrackInferencer(TRACKS, cfg_options={'model.tracker.init_score_thr': 0.1})
    with pytest.warns(UserWarning):
        results = list(track.run(folder, progress=False))
    assert [r.index for r in results] == [0, 2, 3] and all(
        len(set(r.ids.tolist())) == len(r.ids) for r in results
    )
    for result in results:
        assert [o.extras['track_id'] for o in result.objects()] == result.ids.tolist()
        assert result.picture.shape == (96, 160, 3)
    with pytest.raises(ValueError, match='tracks by itself'):
        TrackInferencer(TRACKS, tracker='byte')


def test_a_video(folder, tmp_path):
    path = tmp_path / 'drive.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (160, 96))
    for image in sorted(folder.iterdir()):
        if (frame := cv2.imread(str(image))) is not None:
            writer.write(frame)
    writer.release()
    track = TrackInferencer(DETECTOR, tracker='ocsort', camera=True, tracker_options=LOW)
    results = list(track.run(path, tmp_path / 'out', progress=False))
    assert [r.index for r in results] == [0, 1, 2] and {r.video for r in results} == {'drive'}
    assert {p.name for p in (tmp_path / 'out').iterdir()} >= {
        'drive.mp4',
        'box_track.json',
        'box_track.zip',
        'mot',
    }
    assert cv2.VideoCapture(str(tmp_path / 'out/drive.mp4')).get(cv2.CAP_PROP_FPS) == 10
    again = list(track.run(path, progress=False))  # every run begins anew
    assert [r.ids.tolist() for r in again] == [r.ids.tolist() for r in results]


def test_several_folders_are_several_videos(folder, tmp_path):
    good = [p for p in sorted(folder.iterdir()) if cv2.imread(str(p)) is not None]
    for name in ('one', 'two'):
        (tmp_path / 'all' / name).mkdir(parents=True)
        for path in good[:2]:
            (tmp_path / 'all' / name / path.name).write_bytes(path.read_bytes())
    results = list(TrackInferencer(DETECTOR, tracker_options=LOW).run(tmp_path / 'all', progress=False))
    one, two = ([r for r in results if r.video == name] for name in ('one', 'two'))
    assert [r.index for r in one] == [r.index for r in two] == [0, 1]
    for a, b in zip(one, two):
        assert np.array_equal(a.ids, b.ids) and np.array_equal(a.boxes, b.boxes)


def test_detic_with_words_of_ones_own(folder, tmp_path):
    """The words are looked up in the checkpoint's own classifier and in a file."""
    cfg = get_config('BoxSup-C2_LCOCO_CLIP_R18_640b32_4x')
    head = 'model.roi_head.bbox_head'
    small = {f'{head}.num_classes': 2, f'{head}.fc_out_channels': 32, 'model.test_cfg.rpn.max_per_img': 10}
    size = {'test_dataloader.dataset.pipeline.1.scale': (128, 96)}
    cfg.merge_from_dict(small | size | {'model.class_names': None, 'model.test_cfg.rcnn.score_thr': 0.0})
    cfg.dump(tmp_path / 'detic.py')
    torch.manual_seed(0)
    model = init_model(get_config(str(tmp_path / 'detic.py')))
    model.roi_head.set_classifier(classifier_matrix(torch.randn(2, 512)))
    meta = dict(dataset_meta=dict(classes=('dog', 'tram')))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'detic.pth')
    save_vocabulary(Vocabulary(('traffic cone',), torch.randn(1, 512)), tmp_path / 'cone.safetensors')
    command = ['track', folder, '--detector', tmp_path / 'detic.py', '--weights', tmp_path / 'detic.pth']
    command += ['--words', 'dog, cone=traffic cone', '--embeddings', tmp_path / 'detic.pth']
    command += ['--embeddings', tmp_path / 'cone.safetensors', '--high', 0, '--low', 0, '--init', 0]
    with pytest.raises(SystemExit):  # one frame cannot be read
        main([*map(str, command), '--out', str(tmp_path / 'out')])
    frames = contents(tmp_path / 'out/box_track.json')['frames']
    found = {label['category'] for frame in frames for label in frame['labels']}
    assert len(frames) == 4 and found and found <= {'dog', 'cone'}
    assert len({label['id'] for label in frames[0]['labels']}) == len(frames[0]['labels'])
    categories = contents(tmp_path / 'out/coco_vid.json')['categories']
    assert [category['name'] for category in categories] == ['dog', 'cone']


def test_mistakes_are_told(folder, tmp_path):
    base = ['track', str(folder), '--weights', 'none', '--out', str(tmp_path / 'out'), '--detector']
    with pytest.raises(SystemExit, match='finds no boxes'):
        main([*base, 'rba_small_1dl_road_scenes'])
    with pytest.raises(SystemExit, match='are for Detic'):
        main([*base, DETECTOR, '--words', 'car'])
    with pytest.raises(SystemExit, match='fps=-1'):
        main([*base, DETECTOR, '--fps', '-1'])
    assert not (tmp_path / 'out').exists()
    assert (configs_folder() / 'box_track' / f'{TRACKS}.py').is_file()
