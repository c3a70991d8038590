"""The metric: the official scores of what was run, and files that the official tool reads, on one rank and on two."""

import json
import sys
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData

from mmroad.bdd100k.eval.track import evaluate_track
from mmroad.bdd100k.track_columns import read_track_columns
from mmroad.bdd100k.track_metric import BDD100KTrackMetric

sys.path.insert(0, str(Path(__file__).parents[1] / 'bdd100k/eval'))
from track_cases import made_set, official, same, save  # noqa: E402


def made_run(folder, seed=4):
    """A made-up set: ground truth, and the samples that a model would have given, by row of the ground truth."""
    gt, pred = made_set(seed)
    pred = {(f['videoName'], f['frameIndex']): f for f in pred}
    path, _ = save(folder, gt, [])
    classes = ['pedestrian', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle']
    samples = []
    for row, frame in enumerate(gt):
        labels = pred[frame['videoName'], frame['frameIndex']]['labels']
        labels = [x for x in labels if x['category'] in classes and 'attributes' not in x]
        boxes = [list(x['box2d'].values()) for x in labels]
        sample = DetDataSample(
            metainfo=dict(
                img_id=row,
                file_name=frame['name'],
                video_name=frame['videoName'],
                frame_index=frame['frameIndex'],
            )
        )
        found = InstanceData(
            bboxes=torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4) + torch.tensor([0, 0, 1, 1]),
            scores=torch.full((len(boxes),), 0.5),
            labels=torch.tensor([classes.index(x['category']) for x in labels], dtype=torch.long),
            instances_id=torch.tensor([int(x['id']) for x in labels], dtype=torch.long),
        )
        sample.pred_track_instances = found
        samples.append(sample)
    return path, samples


def process(metric, samples):
    for sample in samples:
        track = TrackDataSample()
        track.video_data_samples = [sample]
        metric.process({}, [track.to_dict()])


def test_scores_and_files_are_the_official_ones(tmp_path):
    path, samples = made_run(tmp_path)
    out = tmp_path / 'out folder'
    metric = BDD100KTrackMetric(str(path), format_dir=str(out), per_video=True)
    process(metric, samples)
    scores = metric.evaluate(len(samples))
    theirs = official(path, out / 'box_track.json')
    for key in ('mMOTA', 'mIDF1'):
        assert scores[f'bdd100k/{key}'] == pytest.approx(getattr(theirs, key))
    assert scores['bdd100k/IDSw'] == theirs.IDSw[2]['OVERALL']
    for written in ('box_track.json', 'box_track.zip', 'box_track'):
        same(evaluate_track(read_track_columns(path), read_track_columns(out / written)), theirs)
    assert {p.name for p in out.iterdir()} == {'box_track.json', 'box_track.zip', 'box_track'}
    frames = json.loads((out / 'box_track.json').read_text())['frames']
    assert len(frames) == len(samples)
    assert all(label['id'].isdecimal() for f in frames for label in f['labels'])


def one_rank(rank, port, folder, path, samples):
    import os

    os.environ |= dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE='2')
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    metric = BDD100KTrackMetric(str(path), format_dir=str(folder))
    videos = sorted({s.video_name for s in samples})
    process(metric, [s for s in samples if videos.index(s.video_name) % 2 == rank])
    scores = metric.evaluate(len(samples))
    Path(f'{folder}.{rank}').write_text(json.dumps(scores))
    torch.distributed.destroy_process_group()


def test_two_ranks_are_one(tmp_path):
    seed = next(s for s in range(20) if len({f['videoName'] for f in made_set(s)[0]}) > 1)
    path, samples = made_run(tmp_path, seed)
    one = BDD100KTrackMetric(str(path), format_dir=str(tmp_path / 'one'))
    process(one, samples)
    scores = one.evaluate(len(samples))
    port = 29500 + hash(str(tmp_path)) % 500
    mp.start_processes(one_rank, (port, tmp_path / 'two', path, samples), 2, start_method='fork')
    for rank in range(2):
        assert json.loads((tmp_path / f'two.{rank}').read_text()) == pytest.approx(
            json.loads(json.dumps(scores)), nan_ok=True
        )
    assert (tmp_path / 'two/box_track.json').read_bytes() == (tmp_path / 'one/box_track.json').read_bytes()


def test_what_is_missing_is_told(tmp_path):
    path, samples = made_run(tmp_path)
    metric = BDD100KTrackMetric(format_only=True, format_dir=str(tmp_path / 'out'))
    process(metric, samples[:-1])
    with pytest.raises(RuntimeError, match=f'{len(samples) - 1} of {len(samples)} frames'):
        metric.evaluate(len(samples))
    assert not list((tmp_path / 'out').iterdir())


def test_boxes_that_are_not_finite_are_told(tmp_path):
    path, samples = made_run(tmp_path)
    bad = next(s for s in samples if len(s.pred_track_instances))
    bad.pred_track_instances.bboxes[0, 0] = float('nan')
    metric = BDD100KTrackMetric(format_only=True, format_dir=str(tmp_path / 'out'))
    process(metric, samples)
    with pytest.raises(ValueError, match='1 detections of 1 images'):
        metric.evaluate(len(samples))
    assert len(json.loads((tmp_path / 'out/box_track.json').read_text())['frames']) == len(samples)


def test_frames_of_another_set_are_refused(tmp_path):
    path, samples = made_run(tmp_path)
    samples[0].set_metainfo(dict(video_name='another'))
    metric = BDD100KTrackMetric(str(path))
    process(metric, samples)
    with pytest.raises(ValueError, match="'another'.* are not in this ground truth"):
        metric.evaluate(len(samples))


def test_a_part_of_the_frames_is_scored_alone(tmp_path):
    path, samples = made_run(tmp_path)
    metric = BDD100KTrackMetric(str(path))
    process(metric, samples[:3])
    part = metric.evaluate(3)
    gt, _ = made_set(4)
    (tmp_path / 'part.json').write_text(json.dumps(gt[:3]))
    whole = BDD100KTrackMetric(str(tmp_path / 'part.json'))
    process(whole, samples[:3])
    assert part == pytest.approx(whole.evaluate(3), nan_ok=True)


@pytest.mark.parametrize('options', [dict(), dict(format_only=True)])
def test_arguments(options):
    with pytest.raises(ValueError):
        BDD100KTrackMetric(**options)
