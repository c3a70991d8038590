"""What ``python -m mmroad.bdd100k.eval -t box_track`` does with its options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial

from ...files import write_text
from ..track_columns import TrackColumns, read_track_columns
from .result import csv, markdown
from .track import TrackScores, by_attribute, over_videos, scores_of, video_of
from .track_pairing import pair_frames

ATTRIBUTES = ('weather', 'scene', 'timeofday')
Step = tuple[str, Callable[[], object]]


def tracking(args: argparse.Namespace, say: Callable[[str], None]) -> tuple[TrackScores, list[Step]]:
    """Scores, and what else is to be done: the option that asks for it and a function."""
    gt, pred = read_track_columns(args.gt), read_track_columns(args.result)
    pairing = pair_frames(gt, pred)
    if not args.quiet:
        say(
            f'{len(pairing.videos)} videos, {len(gt.names)} images, {len(gt)} ground-truth boxes, '
            f'{len(pred)} predictions'
        )
    pairing.tell()
    thresholds = (
        0.5 if args.iou_thr is None else args.iou_thr,
        0.5 if args.ignore_iof_thr is None else args.ignore_iof_thr,
    )
    present = sorted(set(gt.category[~(gt.crowd | gt.ignored)].tolist()))
    counts, hota, teta = {}, [], []
    for data in pairing.data():
        counts[data.name] = video_of(data, *thresholds).counts()
        if args.hota:
            from .hota import hota_sums

            hota.append(hota_sums(data))
        if args.teta:
            from .teta import teta_sums

            teta.append(teta_sums(data, present))
    scores = scores_of(counts.values())
    if args.hota:
        from .hota import hota_scores

        scores.update(hota_scores(hota))
    if args.teta:
        from .teta import teta_scores

        scores.update(teta_scores(teta))
    return scores, _splits(args, gt, counts)


def _splits(args: argparse.Namespace, gt: TrackColumns, counts: dict) -> list[Step]:
    groups = {}
    if args.by_attribute is not None or (args.csv and not args.by_video):
        groups |= {key: by_attribute(gt, key) for key in args.by_attribute or ATTRIBUTES}
    if args.by_video:
        groups['video'] = {name: [name] for name in counts}
    if not groups:
        return []
    option = '--csv' if args.csv else '--by-video' if args.by_video else '--by-attribute'
    return [(option, partial(_write_splits, groups, counts, args.csv))]


def _write_splits(groups: dict[str, dict[str, Sequence[str]]], counts: dict, csv_file: str | None) -> None:
    """Print the scores of each group of videos as Markdown, and write those of every class."""
    tables = {key: over_videos(counts, members) for key, members in groups.items()}
    for key, rows in tables.items():
        print(markdown(rows, key))
    if csv_file:
        write_text(csv_file, '\n'.join(csv(rows, key) for key, rows in tables.items()))
