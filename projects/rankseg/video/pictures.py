"""Overlays of classes and tracks on frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from ...anomaly.pictures import overlay_classes
from .tracks import encode
from .vspw import bit_palette

__all__ = ['overlay_classes', 'overlay_tracks', 'truth_frames']

#: RGB colors of tracks, by rank.
TRACK_COLORS = bit_palette(64)


def overlay_tracks(
    image: np.ndarray,
    tracks: Sequence[dict],
    frame: int,
    classes: Sequence[str],
    threshold: float = 0.3,
    opacity: float = 0.5,
) -> np.ndarray:
    """A frame under its tracks' masks, each with its outline, class and score in the track's color.

    Args:
        image: (H, W, 3) BGR uint8.
        tracks: See `TrackStitcher.finish`; those without a score are drawn in any case.
        frame: The frame's number in the video.
        threshold: Tracks below this score are left out.
    """
    out = image.copy()
    for rank, track in enumerate(tracks):
        mask = coco_mask.decode(track['segmentations'][frame])
        score = track.get('score')
        if (score is not None and score < threshold) or not mask.any():
            continue
        color = TRACK_COLORS[rank % len(TRACK_COLORS)][::-1]
        inside = mask.astype(bool)
        out[inside] = ((1 - opacity) * out[inside] + opacity * np.array(color)).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(out, outlines, -1, color, max(1, len(image) // 300))
        rows, columns = np.nonzero(mask)
        text = classes[track['label']] + ('' if score is None else f' {score:.2f}')
        size = max(0.35, len(image) / 1200)
        corner = (int(columns.min()), max(int(rows.min()) - 3, int(30 * size)))
        for color, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(out, text, corner, cv2.FONT_HERSHEY_SIMPLEX, size, color, width, cv2.LINE_AA)
    return out


def truth_frames(frames: np.ndarray, samples: Sequence[Any], classes: Sequence[str]) -> np.ndarray:
    """A training clip's frames side by side under their instances, an instance in one color in all frames.

    Args:
        frames: (T, H, W, 3) BGR uint8.
        samples: Each frame's data sample with ``gt_instances`` (``masks``, ``labels``, ``instances_ids``).
    """
    found: dict[int, dict] = {}
    empty = encode(np.zeros(frames.shape[1:3], bool))
    for t, sample in enumerate(samples):
        instances = sample.gt_instances
        for mask, label, number in zip(
            instances.masks.to_ndarray(), instances.labels.tolist(), instances.instances_ids.tolist()
        ):
            track = found.setdefault(number, dict(label=label, segmentations=[empty] * len(frames)))
            track['segmentations'][t] = encode(mask.astype(bool))
    tracks = [found[number] for number in sorted(found)]
    return np.hstack([overlay_tracks(frame, tracks, t, classes) for t, frame in enumerate(frames)])
