"""Overlays of classes and tracks on frames, and videos of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from ...files import replacing
from ...files.sources import frame_rate
from .vspw import bit_palette

#: RGB colours of tracks, by rank.
TRACK_COLOURS = bit_palette(64)


def overlay_classes(
    image: np.ndarray, classes: np.ndarray, palette: Sequence[Sequence[int]], opacity: float = 0.6
) -> np.ndarray:
    """A frame (H, W, 3) BGR uint8 under the colours (RGB) of its classes (H, W); those outside the palette leave
    it as it is."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = np.array(palette, np.uint8)[:, ::-1]
    over = cv2.addWeighted(image, 1 - opacity, table[classes], opacity, 0)
    return np.where(classes[..., None] < len(palette), over, image)


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
        tracks: See `TrackStitcher.finish`.
        frame: The frame's number in the video.
        threshold: Tracks below this score are left out.
    """
    out = image.copy()
    for rank, track in enumerate(tracks):
        mask = coco_mask.decode(track['segmentations'][frame])
        if track['score'] < threshold or not mask.any():
            continue
        colour = TRACK_COLOURS[rank % len(TRACK_COLOURS)][::-1]
        inside = mask.astype(bool)
        out[inside] = ((1 - opacity) * out[inside] + opacity * np.array(colour)).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(out, outlines, -1, colour, max(1, len(image) // 300))
        rows, columns = np.nonzero(mask)
        text, size = f'{classes[track["label"]]} {track["score"]:.2f}', max(0.35, len(image) / 1200)
        corner = (int(columns.min()), max(int(rows.min()) - 3, int(30 * size)))
        for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(out, text, corner, cv2.FONT_HERSHEY_SIMPLEX, size, colour, width, cv2.LINE_AA)
    return out


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
