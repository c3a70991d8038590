"""Trackers on one detector's boxes, and what labels that flicker cost.

    python benchmarks/tracking.py boxes CONFIG CHECKPOINT [CONFIG CHECKPOINT ...] [--data-root DIR] [--truth]
    python benchmarks/tracking.py labels [--sets 5]

``boxes`` runs models that track (QDTrack) over the val videos of their configs and gives what the first one detects to
`byte` and `ocsort` too; with ``--truth`` all link the true boxes. ``labels`` exchanges 10 % of the labels of the true
boxes of six drives (80 frames, a camera that stands) for those of a like class, several such sets, and follows them
with `byte` and with `byte` whose tracks are shown from their first box on. All scores are the evaluator's.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from mmroad.bdd100k.eval.track import evaluate_track
from mmroad.bdd100k.track_columns import TrackColumns, read_track_columns
from mmroad.bdd100k.track_format import TrackPrediction, to_track_columns
from mmroad.tracking.base import Tracked
from mmroad.tracking.byte import ByteTracker
from mmroad.tracking.ocsort import OCSort

RATIOS, COUNTS = ('mMOTA', 'mIDF1', 'MOTA', 'IDF1'), ('FP', 'FN', 'IDSw')
FPS = 5
#: pedestrian and rider, car and truck, motorcycle and bicycle
LIKE = {0: 1, 1: 0, 2: 3, 3: 2, 6: 7, 7: 6}


class AtOnce(ByteTracker):
    """`byte` that shows a track from its first box on."""

    def _begin(self, box, score, label, confirmed):
        return super()._begin(box, score, label, True)


def scores(truth: TrackColumns, found: Iterable[tuple[int, Tracked]]) -> dict[str, float]:
    """The evaluator's summary of tracked frames (row of the truth, boxes)."""
    predictions = [
        TrackPrediction(
            row, truth.names[row], tracked.boxes.tolist(), tracked.scores.tolist(), tracked.labels.tolist(),
            video=truth.videos[row], frame_index=int(truth.frame_index[row]), ids=tracked.ids.tolist(),
        )
        for row, tracked in found
    ]  # fmt: skip
    return evaluate_track(truth, to_track_columns(predictions)).summary()


def row(name: str, summary: dict[str, float]) -> None:
    values = [f'{summary[key]:.1f}' for key in RATIOS] + [f'{summary[key]:.0f}' for key in COUNTS]
    print('|', name, '|', ' | '.join(values), '|', flush=True)


def boxes(args: argparse.Namespace) -> None:
    from mmdet.registry import DATASETS
    from mmengine.registry import init_default_scope

    from mmroad import inferencer
    from mmroad.tracking.camera import CameraMotion
    from mmroad.zoo.models import single_dataset

    if len(args.models) % 2:
        raise SystemExit('a checkpoint for every config')
    print('| |', ' | '.join(RATIOS + COUNTS), '|')
    print('|' + '---|' * (1 + len(RATIOS + COUNTS)))
    others = {
        '`ocsort`': (OCSort(), None),
        '`byte`': (ByteTracker(), None),
        "`byte`, QDTrack's thresholds": (ByteTracker(high=0.3, low=0.05, init=0.7), None),
        '`byte --camera`': (ByteTracker(), CameraMotion),
    }
    for config, checkpoint in zip(args.models[::2], args.models[1::2]):
        model = inferencer(config, weights=checkpoint).model
        init_default_scope('mmdet')
        cfg = dict(single_dataset(model.cfg))
        dataset = DATASETS.build(dict(cfg, data_root=args.data_root) if args.data_root else cfg)
        truth, frames = dataset.columns, list(tracked_by(model, dataset, args.truth))
        for name, (tracker, camera) in others.items():
            row(name, scores(truth, follow(truth, frames, tracker, camera)))
        others = {}  # of the first model alone
        row(Path(config).stem, scores(truth, [(number, own) for number, *_, own in frames]))


def tracked_by(model, dataset, of_truth: bool) -> Iterable[tuple]:
    """Of every frame its row, the detections, where its image is and what the model makes of them."""
    import torch
    from mmengine.structures import InstanceData

    for i, item in enumerate(dataset):
        if of_truth:
            (instances,) = dataset.get_data_info(i)['instances']
            instances = [x for x in instances if not x['ignore_flag']]
            true = InstanceData(
                bboxes=torch.tensor([x['bbox'] for x in instances]).reshape(-1, 4),
                scores=torch.full((len(instances),), 0.9),
                labels=torch.tensor([x['bbox_label'] for x in instances], dtype=torch.long),
            )
            model.detector.roi_head.predict = lambda *args, found=true, **kwargs: [found]
        with torch.inference_mode():
            batch = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
            sample = model.test_step(batch)[0][0]
        own = sample.pred_track_instances.numpy()
        own = Tracked(own.instances_id + 1, own.bboxes, own.scores, own.labels)
        yield sample.img_id, sample.pred_instances.numpy(), sample.img_path, own


def follow(truth: TrackColumns, frames, tracker, camera: Callable | None) -> Iterable[tuple[int, Tracked]]:
    """What a tracker makes of the detections of `tracked_by`, video after video."""
    from mmroad.files.images import read_image

    video, motion = None, None
    for number, found, image, _ in frames:
        if truth.videos[number] != video:
            video, motion = truth.videos[number], camera and camera()
            tracker.reset()
        moved = (
            motion.update(read_image(image), found.bboxes[found.scores >= tracker.high]) if motion else None
        )
        seconds = truth.frame_index[number] / FPS
        yield number, tracker.update(found.bboxes, found.scores, found.labels, seconds, moved)


def labels(args: argparse.Namespace) -> None:
    found: dict[tuple, list[dict]] = {}
    for number in range(args.sets):
        truth = drives(number)
        for kind in (ByteTracker, AtOnce):
            for noise in (0, 0.1):
                for classes in ('own', 'any', 'vote'):
                    tracked = flickering(truth, kind(classes=classes), noise, random.Random(number))
                    found.setdefault((kind.__name__, noise, classes), []).append(scores(truth, tracked))
    print(f'mMOTA / mIDF1, means over {args.sets} sets of six drives; mMOTA of each set')
    for key, each in found.items():
        means = ' / '.join(f'{np.mean([summary[k] for summary in each]):.1f}' for k in ('mMOTA', 'mIDF1'))
        print(*key, means, [round(float(summary['mMOTA']), 1) for summary in each])


def drives(number: int) -> TrackColumns:
    """The labels of six drives."""
    from mmroad.road_scenes.tracks import write_tracks

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_tracks(root, 6, 5 + 6 * number, 80, (320, 192), 1, 0, lambda path, image: None, lambda: None)
        (root / 'all').mkdir()
        for path in (root / 'labels/box_track_20').glob('*/*.json'):
            path.rename(root / 'all' / path.name)
        return read_track_columns(root / 'all')


def flickering(
    truth: TrackColumns, tracker, noise: float, rng: random.Random
) -> Iterable[tuple[int, Tracked]]:
    """What a tracker makes of the true boxes, each of whose labels is wrong with a probability of ``noise``."""
    first = np.searchsorted(truth.frame, np.arange(len(truth.names) + 1))
    for rows in truth.by_video().values():
        tracker.reset()
        for number in rows.tolist():
            part = slice(first[number], first[number + 1])
            given = [LIKE.get(c, c) if rng.random() < noise else c for c in truth.category[part].tolist()]
            place = truth.xyxy[part] + np.array([0, 0, 1, 1])
            yield number, tracker.update(place, np.full(len(place), 0.9), np.array(given, int), number / FPS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser('boxes')
    part.add_argument('models', nargs='+', metavar='CONFIG CHECKPOINT')
    part.add_argument('--data-root')
    part.add_argument('--truth', action='store_true', help='link the true boxes')
    part.set_defaults(run=boxes)
    part = parts.add_parser('labels')
    part.add_argument('--sets', type=int, default=5)
    part.set_defaults(run=labels)
    args = parser.parse_args()
    args.run(args)


if __name__ == '__main__':
    main()
