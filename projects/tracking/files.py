"""The files of a tracked run: box_track.json and .zip (Scalabel), mot/VIDEO.txt and coco_vid.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from ..bdd100k.track_format import TrackPrediction, frame_of, write_tracks
from ..files import write_json
from .coco_vid import to_coco_vid
from .frames import Frames
from .mot import write_mot


class TrackFiles:
    """Gathers the frames of a run and writes them at its end, in all formats.

    Args:
        out_dir: The output folder.
        classes: Of the labels.
        size: (width, height) of the images.
    """

    FILES: ClassVar = ('box_track.json', 'box_track.zip', 'coco_vid.json', 'mot')

    def __init__(self, out_dir: str | Path, classes: Sequence[str]) -> None:
        self.out_dir, self.classes = Path(out_dir), tuple(classes)
        self._frames: dict[tuple[str, int], TrackPrediction] = {}
        self._sizes: dict[str, tuple[int, int]] = {}

    def add_frame(self, prediction: TrackPrediction, size: tuple[int, int] | None = None) -> None:
        """Keep a frame; one without tracks where its image could not be read has no size."""
        self._frames[prediction.video, prediction.frame_index] = prediction
        if size is not None:
            self._sizes[prediction.video] = size

    def write(self, missing: Iterable[TrackPrediction] = ()) -> None:
        """Write the files, where there is a frame; frames without an image that could be read are empty ones."""
        for prediction in missing:
            if (prediction.video, prediction.frame_index) not in self._frames:
                self.add_frame(prediction)
        if not self._frames:
            return
        predictions = [self._frames[key] for key in sorted(self._frames)]
        write_tracks(predictions, self.out_dir, self.classes)
        frames = Frames([self._sized(p) for p in predictions])
        write_json(self.out_dir / 'coco_vid.json', to_coco_vid(frames, self.classes, (0, 0)))
        write_mot(frames, self.out_dir / 'mot', self.classes, (0, 0), truth=False)

    def _sized(self, prediction: TrackPrediction) -> dict:
        width, height = self._sizes.get(prediction.video, (0, 0))
        return frame_of(prediction, self.classes) | dict(size=dict(width=width, height=height))
