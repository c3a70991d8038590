"""Overlays of classes and tracks on frames, and videos of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from ...anomaly.pictures import overlay_classes
from ...files import replacing
from ...files.sources import frame_rate
from .tracks import encode
from .vspw import bit_palette

__all__ = ['VideoFile', 'VideoFiles', 'overlay_classes', 'overlay_tracks', 'truth_frames']

#: RGB colours of tracks, by rank.
TRACK_COLOURS = bit_palette(64)


def overlay_tracks(
    image: np.ndarray,
    tracks: Sequence[dict],
    frame: int,
    classes: Sequence[str],
    threshold: float = 0.3,
    opacity: float = 0.5,
) -> np.ndarray:
    """A frame under its tracks' masks, each with its outline, class and score in the track's colour.

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
        colour = TRACK_COLOURS[rank % len(TRACK_COLOURS)][::-1]
        inside = mask.astype(bool)
        out[inside] = ((1 - opacity) * out[inside] + opacity * np.array(colour)).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(out, outlines, -1, colour, max(1, len(image) // 300))
        rows, columns = np.nonzero(mask)
        text = classes[track['label']] + ('' if score is None else f' {score:.2f}')
        size = max(0.35, len(image) / 1200)
        corner = (int(columns.min()), max(int(rows.min()) - 3, int(30 * size)))
        for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(out, text, corner, cv2.FONT_HERSHEY_SIMPLEX, size, colour, width, cv2.LINE_AA)
    return out


def truth_frames(frames: np.ndarray, samples: Sequence[Any], classes: Sequence[str]) -> np.ndarray:
    """A training clip's frames side by side under their instances, an instance in one colour in all frames.

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


class VideoFile:
    """An .mp4 that is written frame by frame and gets its name when it is complete, or left early without an error.

    with VideoFile('out.mp4', fps=25) as video:
        video.write(frame)

    Raises:
        ValueError: It would replace ``source``, the file that the frames come from.
    """

    def __init__(self, path: str | Path, fps: float, source: str | Path | None = None) -> None:
        self.path, self.fps = Path(path), fps
        if source is not None and self.path.resolve() == Path(source).resolve():
            raise ValueError(f'{path} would replace its own source: choose another folder')
        self._stack, self._writer = ExitStack(), None
        self._size = (0, 0)

    def __enter__(self) -> VideoFile:
        return self

    def write(self, frame: np.ndarray) -> None:
        """Add a frame (H, W, 3) BGR uint8; all have the first one's size.

        Raises:
            OSError: No encoder takes it.
        """
        if self._writer is None:
            self._size = frame.shape[1::-1]
            with ExitStack() as stack:
                part = stack.enter_context(replacing(self.path))
                code = cv2.VideoWriter_fourcc(*'mp4v')
                writer = cv2.VideoWriter(str(part), code, self.fps, self._size)
                stack.callback(writer.release)
                if not writer.isOpened():
                    raise OSError(
                        f'{self.path}: this OpenCV cannot write MPEG-4 video of {self._size} pixels'
                    )
                self._stack, self._writer = stack.pop_all(), writer
        if frame.shape[1::-1] != self._size:
            raise ValueError(f'{self.path}: a frame is {frame.shape[1::-1]}, the first one was {self._size}')
        self._writer.write(frame)

    def __exit__(self, kind: type | None, *error) -> None:
        if kind is not None and not issubclass(kind, Exception):  # break and Ctrl-C keep what there is
            self._stack.close()
        else:
            self._stack.__exit__(kind, *error)

    def close(self) -> None:
        """The file is complete."""
        self._stack.close()


class VideoFiles:
    """Pictures of several videos, one video after the other."""

    def __init__(self) -> None:
        self._video: VideoFile | None = None

    def write(self, path: Path, source: Path, picture: np.ndarray) -> None:
        """Add a frame to the video of a path, which has the frame rate of its source."""
        if self._video is None or self._video.path != path:
            self.close()
            self._video = VideoFile(path, frame_rate(source), source)
        self._video.write(picture)

    def close(self) -> None:
        """The last video is complete."""
        if self._video is not None:
            self._video.close()
            self._video = None
