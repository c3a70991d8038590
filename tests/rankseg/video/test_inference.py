"""Inference on videos and folders of frames, the tools, and the split for a local score."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from mmroad.anomaly.pictures import overlay_classes
from mmroad.files.sources import LeftOut, open_source
from mmroad.files.videos import VideoFile
from mmroad.inference.video import VideoInferencer
from mmroad.rankseg.video.pictures import TRACK_COLORS, overlay_tracks
from mmroad.rankseg.video.tracks import clip_windows, encode
from mmroad.road_scenes.scene import Scene
from mmroad.zoo.configs import configs_folder
from mmroad.zoo.models import init_model

ROOT = configs_folder().parent
SIZE = (96, 64)
FRAMES = 7


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('frames')
    scene = Scene(3, SIZE)
    for t in range(FRAMES):
        cv2.imwrite(str(root / f'{t:08d}.png'), scene.render(t).image)
    return root


def model(**options):
    torch.manual_seed(0)
    config = str(configs_folder() / 'rankseg/rankseg_small_road_scenes_video.py')
    return init_model(config, cfg_options={f'model.{k}': v for k, v in options.items()})


def test_semantic(folder, tmp_path):
    segment = VideoInferencer(model(clip_length=3))
    results = list(segment.run(folder, tmp_path, progress=False))
    assert [r.name for r in results] == [f'{t:08d}.png' for t in range(FRAMES)]
    frames = list(open_source(folder))
    images, samples = segment._prepare(frames[3:6])
    with torch.no_grad():
        want = segment.model.semantic_maps(images, samples)
    for t, result in enumerate(results):
        assert result.classes.shape == (64, 96) and result.classes.dtype == np.uint8
        assert result.tracks is None
        png = cv2.imread(str(tmp_path / f'classes/{t:08d}.png'), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(png, result.classes)
        over = overlay_classes(frames[t][1], png, segment.meta['palette'])
        assert np.array_equal(result.picture[: len(over)], over)
    assert np.array_equal(results[4].classes, want[1].numpy())
    written = cv2.VideoCapture(str(tmp_path / f'{folder.name}.mp4'))
    assert written.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES and written.get(cv2.CAP_PROP_FPS) == 10
    ok, frame = written.read()
    assert ok and np.abs(frame.astype(int) - results[0].picture).mean() < 12


def test_tracks_of_a_video_file(folder, tmp_path):
    with VideoFile(tmp_path / 'in.mp4', 25) as video:
        for _, image in open_source(folder):
            video.write(image)
    network = model(task='instance', clip_length=None)
    results = list(VideoInferencer(network).run(tmp_path / 'in.mp4', tmp_path / 'out', progress=False))
    assert len(results) == FRAMES and results[0].name == 'in_000000.jpg'
    tracks = results[0].tracks
    assert len(tracks) == 10 and results[-1].tracks is tracks and results[0].classes is None
    entries = json.loads((tmp_path / 'out/results.json').read_text())
    assert [e['category_id'] - 1 for e in entries] == [track['label'] for track in tracks]
    for entry in entries:
        assert coco_mask.decode(entry['segmentations']).shape == (64, 96, FRAMES)
    assert cv2.VideoCapture(str(tmp_path / 'out/in.mp4')).get(cv2.CAP_PROP_FPS) == 25
    # clips as long as the video change nothing; shorter ones read it once more in parts
    same = next(VideoInferencer(network, 7, 2).run(tmp_path / 'in.mp4', progress=False))
    assert same.tracks == tracks
    lengths = []
    network.track_head.register_forward_pre_hook(lambda _, args: lengths.append(len(args[0][0])))
    parts = next(VideoInferencer(network, 4, 1).run(tmp_path / 'in.mp4', progress=False))
    assert lengths == [4, 4]
    assert all(len(track['segmentations']) == FRAMES for track in parts.tracks)


@pytest.mark.parametrize('clip_length, overlap', [(3, 0), (3, 1), (4, 2), (7, 2), (9, 3), (None, 0)])
def test_clips_are_the_datasets(folder, clip_length, overlap):
    segment = VideoInferencer(model(task='instance', clip_length=clip_length), overlap=overlap)
    clips = list(segment._clips(folder))
    assert [clip for clip, _ in clips] == list(clip_windows(FRAMES, clip_length, overlap))
    for clip, frames in clips:
        assert [name for name, _ in frames] == [f'{t:08d}.png' for t in range(clip.start, clip.stop)]


def test_errors(folder, tmp_path):
    network = model()
    with pytest.raises(ValueError, match='do not overlap'):
        VideoInferencer(network, 3, 1)
    with pytest.raises(ValueError, match='cannot overlap'):
        VideoInferencer(model(task='instance'), 3, 3)
    with pytest.raises(ValueError, match='oracle'):
        VideoInferencer(model(**{'track_head.rank_seg': dict(_delete_=True, oracle=True)}))
    for t, size in enumerate(((64, 96), (64, 64))):
        cv2.imwrite(str(tmp_path / f'{t}.png'), np.zeros((*size, 3), np.uint8))
    with pytest.raises(ValueError, match=r'1.png is \(64, 64\)'):
        list(VideoInferencer(network).run(tmp_path, tmp_path / 'out', progress=False))
    assert not list((tmp_path / 'out').glob('*.mp4')) and not list((tmp_path / 'out').glob('.part*'))
    with VideoFile(tmp_path / 'v.mp4', 25) as video:
        video.write(np.zeros((64, 96, 3), np.uint8))
    with pytest.raises(ValueError, match='own source'):
        list(VideoInferencer(network).run(tmp_path / 'v.mp4', tmp_path, progress=False))
    with pytest.raises(FileNotFoundError, match='nothing'):
        list(VideoInferencer(network).run(tmp_path / 'nothing', progress=False))


def test_each_folder_of_frames_is_a_video(folder, tmp_path):
    frames = [image for _, image in open_source(folder)]
    for cam, order in (('cam1', frames[:4]), ('cam2', frames[4:])):
        for t, frame in enumerate(order):
            (tmp_path / 'in' / cam).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / f'in/{cam}/{8 + t}.png'), frame)  # 8, 9, 10, 11
    segment = VideoInferencer(model(clip_length=3))
    run = segment.run(tmp_path / 'in', tmp_path / 'out', progress=False)
    results = list(run)
    assert [r.name for r in results] == [
        *(f'cam1/{t}.png' for t in (8, 9, 10, 11)), *(f'cam2/{t}.png' for t in (8, 9, 10)),
    ]  # fmt: skip
    alone = [list(segment.run(tmp_path / 'in' / cam, progress=False)) for cam in ('cam1', 'cam2')]
    for result, want in zip(results, sum(alone, []), strict=True):
        assert np.array_equal(result.classes, want.classes)
        cam, _, name = result.name.partition('/')
        png = cv2.imread(str(tmp_path / f'out/{cam}/classes/{name}'), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(png, want.classes)
    assert not run.left_out and sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['cam1', 'cam2']
    for _ in range(2):  # its own results are no frames
        again = segment.run(tmp_path / 'in', tmp_path / 'in', progress=False)
        assert [r.name for r in again] == [r.name for r in results] and not again.left_out
    for cam, count in (('cam1', 4), ('cam2', 3)):
        assert cv2.VideoCapture(str(tmp_path / f'out/{cam}/{cam}.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == count


def test_a_video_that_cannot_be_used_is_left_out_of_several(folder, tmp_path):
    for t, (_, image) in enumerate(open_source(folder)):
        cam = 'ab'[t % 2]
        (tmp_path / cam).mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f'{cam}/{t}.png'), image)
    cv2.imwrite(str(tmp_path / 'a/7.png'), np.zeros((10, 20, 3), np.uint8))
    (tmp_path / 'b/2.png').write_bytes(b'')
    run = VideoInferencer(model(task='instance', clip_length=4), overlap=1).run(
        tmp_path, tmp_path / 'out', progress=False
    )
    with pytest.warns(LeftOut, match=r'b/2\.png'):
        results = list(run)
    assert [r.name for r in results] == [f'b/{t}.png' for t in (1, 3, 5)]
    assert sorted(run.left_out) == ['b/2.png', 'video a']
    assert r'a/7.png is (10, 20)' in run.left_out['video a']
    (entry, *_) = json.loads((tmp_path / 'out/b/results.json').read_text())
    assert coco_mask.decode(entry['segmentations']).shape == (64, 96, 3)
    assert not list((tmp_path / 'out/a').rglob('*.mp4'))


def test_a_frame_that_cannot_be_prepared_is_named(folder, monkeypatch):
    segment = VideoInferencer(model())

    def refuse(data):
        raise cv2.error('ssize.width > 0')

    monkeypatch.setattr(segment, 'resize', refuse)
    with pytest.raises(ValueError, match=r'00000000\.png \(64, 96, 3\) cannot be prepared .*ssize'):
        list(segment.run(folder, progress=False))


def test_what_is_left_early_is_kept(folder, tmp_path):
    for task in ('semantic', 'instance'):
        out = tmp_path / task
        for count, _ in enumerate(VideoInferencer(model(task=task)).run(folder, out, progress=False), 1):
            if count == 2:
                break
        video = cv2.VideoCapture(str(out / f'{folder.name}.mp4'))
        assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 2 and not list(out.rglob('.*'))
    assert json.loads((tmp_path / 'instance/results.json').read_text())  # of the whole video
    assert len(list((tmp_path / 'semantic/classes').iterdir())) == 2


def test_the_video_of_a_glob_has_its_folders_name(folder, tmp_path):
    for _ in VideoInferencer(model()).run(folder / '*.png', tmp_path, progress=False, fps=3):
        break
    written = cv2.VideoCapture(str(tmp_path / f'{folder.name}.mp4'))
    assert written.get(cv2.CAP_PROP_FRAME_COUNT) == 1 and written.get(cv2.CAP_PROP_FPS) == 3


def test_a_video_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    class Writer:
        def __init__(self, *args):
            pass

        def isOpened(self):
            return False

        release = isOpened
        fourcc = staticmethod(cv2.VideoWriter.fourcc)

    frame = np.zeros((64, 96, 3), np.uint8)
    with (
        pytest.raises(ValueError, match=r'v\.mp4: a frame is \(96, 32\)'),
        VideoFile(tmp_path / 'v.mp4', 5) as video,
    ):
        video.write(frame)
        video.write(frame[:32])
    monkeypatch.setattr(cv2, 'VideoWriter', Writer)
    with (
        pytest.raises(OSError, match=r'v\.mp4: this OpenCV cannot'),
        VideoFile(tmp_path / 'v.mp4', 5) as video,
    ):
        video.write(frame)
    video.close()
    assert not list(tmp_path.iterdir())


def test_a_cut_video_is_told(folder, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / 'in.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, SIZE)
    for _, image in open_source(folder):
        writer.write(image)
    writer.release()
    content = (tmp_path / 'in.avi').read_bytes()
    (tmp_path / 'in.avi').write_bytes(content[: len(content) // 2])
    run = VideoInferencer(model()).run(tmp_path / 'in.avi', tmp_path / 'out', progress=False)
    with pytest.warns(LeftOut, match=f'of {FRAMES} frames can be read'):
        assert 0 < len(list(run)) < FRAMES
    assert list(run.left_out)[0].startswith('in from frame')


def test_equal_stems_are_told_before_the_run(folder, tmp_path):
    for suffix in ('png', 'jpg'):
        cv2.imwrite(str(tmp_path / f'1.{suffix}'), np.zeros((64, 96, 3), np.uint8))
    with pytest.raises(ValueError, match=r'1\.(jpg|png) and 1\.(jpg|png) would both be written'):
        VideoInferencer(model()).run(tmp_path, tmp_path / 'out')


def test_overlays():
    image = np.full((40, 60, 3), 100, np.uint8)
    classes = np.zeros((40, 60), np.uint8)
    classes[:, 30:] = 255
    over = overlay_classes(image, classes, [(200, 0, 0)], opacity=0.5)
    assert over[0, 0].tolist() == [50, 50, 150] and over[0, 40].tolist() == [100, 100, 100]
    mask = np.zeros((40, 60), bool)
    mask[20:35, 10:50] = True
    track = dict(score=0.9, label=0, segmentations=[encode(mask), encode(~mask & False)])
    over = overlay_tracks(image, [track], 0, ['car'], opacity=0.5)
    color = np.array(TRACK_COLORS[0][::-1])
    assert over[30, 30].tolist() == ((image[30, 30] + color) // 2).tolist()
    assert over[38, 55].tolist() == [100, 100, 100]
    for hidden in (
        overlay_tracks(image, [track], 1, ['car']),
        overlay_tracks(image, [track], 0, ['car'], 1.0),
    ):
        assert np.array_equal(hidden, image)


def test_tool(folder, tmp_path):
    network = model()
    torch.save(dict(state_dict=network.state_dict(), meta={}), tmp_path / 'model.pth')
    config = configs_folder() / 'rankseg/rankseg_small_road_scenes_video.py'
    command = [sys.executable, '-m', 'mmroad', 'infer', str(config)]
    command += [str(tmp_path / 'model.pth'), str(folder), '--out', str(tmp_path / 'out')]
    done = subprocess.run(command, capture_output=True, text=True)
    assert f'{FRAMES} images written' in done.stdout, done.stderr
    assert len(list((tmp_path / 'out/classes').iterdir())) == FRAMES


def test_split(tmp_path):
    videos = [dict(id=i, length=1, file_names=[f'{i}/0.jpg'], width=4, height=4) for i in range(23)]
    tracks = [dict(id=i, video_id=i, category_id=[1] * 15 + [2] * 5 + [3] * 2 + [4]) for i in range(23)]
    for track in tracks:
        track['category_id'] = track['category_id'][track['id']]
    tracks.append(dict(id=99, video_id=0, category_id=2))
    content = dict(
        videos=videos, annotations=tracks, categories=[dict(id=i, name=str(i)) for i in range(1, 5)]
    )
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(content))
    tool = [sys.executable, '-m', 'mmroad', 'data', 'split-ytvis']
    parts = []
    for _ in range(2):
        subprocess.run(
            [sys.executable, '-m', 'mmroad', 'data', 'split-ytvis', str(path)],
            check=True,
            capture_output=True,
        )
        parts.append([json.loads((tmp_path / f).read_text()) for f in ('train_split.json', 'holdout.json')])
    assert parts[0] == parts[1]
    train, held = parts[0]
    ids = [{video['id'] for video in part['videos']} for part in (train, held)]
    assert ids[0] | ids[1] == set(range(23)) and not ids[0] & ids[1]
    assert (
        len(ids[1]) == 3 + 1 + 1
    )  # of 14 of class 1, of 6 of class 2 (one holds both), of 2; the only one stays
    for part, chosen in zip((train, held), ids):
        assert {ann['video_id'] for ann in part['annotations']} == chosen
        assert part['categories'] == content['categories']
    (tmp_path / 'test.json').write_text(json.dumps(dict(content, annotations=[])))
    bad = subprocess.run([*tool, str(tmp_path / 'test.json')], capture_output=True, text=True)
    assert bad.returncode and 'no annotations' in bad.stderr


def test_settings_that_clips_cannot_have_are_refused():
    segment = VideoInferencer(model(clip_length=3))
    assert (segment.clip_length, segment.overlap, segment.threshold) == (3, 0, 0.3)
    assert not segment.model.training
    with pytest.raises(ValueError, match='overlap is 1: semantic clips do not overlap'):
        VideoInferencer(model(), overlap=1)
    tracker = model(task='instance', clip_length=4)
    assert VideoInferencer(tracker, 4, 3).overlap == 3 and VideoInferencer(tracker, 1, 0).clip_length == 1
    for length, overlap in ((4, 4), (4, -1), (0, 0)):
        with pytest.raises(ValueError, match=f'clips of {length} frames cannot overlap by {overlap}'):
            VideoInferencer(tracker, length, overlap)
