"""Videos written frame by frame."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from .replacing import replacing
from .sources import frame_rate


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
        self._stack = ExitStack()
        self._writer: cv2.VideoWriter | None = None
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
                code = cv2.VideoWriter.fourcc(*'mp4v')
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
