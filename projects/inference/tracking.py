"""Tracking in videos and folders of frames, with any detector of the zoo, or with a model that tracks.

from mmroad.inference.tracking import TrackInferencer

track = TrackInferencer('faster_rcnn_r50_fpn_3x_det_bdd100k', weights='published', tracker='byte')
for frame in track.run('drive.mp4', out_dir='out'):
    frame.ids, frame.boxes, frame.names
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from ..bdd100k.track_format import TrackPrediction
from ..files.images import ImageError
from ..files.sources import Item, Source, frame_rate, open_source
from ..tracking.base import Tracked, Tracker
from ..tracking.byte import ByteTracker
from ..tracking.camera import CameraMotion
from ..tracking.files import TrackFiles
from ..tracking.ocsort import OCSort
from ..tracking.pictures import TrailPainter
from ..zoo.models import single_dataset
from .base import Inferencer, Run, Writer, run_over
from .build import inferencer
from .detection import DetInferencer, finite_and_sorted
from .results import Object, Result

if TYPE_CHECKING:
    from mmengine.config import Config

TRACKERS: dict[str, type[Tracker]] = {'byte': ByteTracker, 'ocsort': OCSort}
#: Frames a second of a folder of images, as BDD100K's have.
FOLDER_RATE = 5.0
#: Seconds that a trail reaches back.
TRAIL = 3.0


@dataclass(repr=False, eq=False)
class Tracks(Result):
    """The tracked boxes of one frame."""

    video: str  #: the video's name
    index: int  #: the frame's number in the video, from 0
    ids: np.ndarray  #: (n,) from 1, unique in the video
    boxes: np.ndarray  #: (n, 4) x1, y1, x2, y2 in pixels of the image, x2 exclusive
    scores: np.ndarray  #: (n,) in [0, 1]
    labels: np.ndarray  #: (n,) rows of the classes
    names: list[str]  #: their class names

    def objects(self) -> list[Object]:
        """The boxes, with ``track_id``."""
        rows = zip(
            self.names, self.labels.tolist(), self.boxes.tolist(), self.scores.tolist(), self.ids.tolist()
        )
        return [Object(n, label, tuple(b), s, None, dict(track_id=t)) for n, label, b, s, t in rows]


class _Place(NamedTuple):
    """Where a frame belongs."""

    video: str
    index: int
    rate: float


class _State(NamedTuple):
    """What goes on in one video."""

    tracker: Any
    camera: CameraMotion | None
    painter: TrailPainter


class TrackInferencer:
    """Tracks what a detector finds in videos, each folder of images being one.

    A run writes ``NAME.mp4`` or ``pictures/NAME`` with boxes, ids and trails, ``box_track.json`` and ``box_track.zip``
    (Scalabel, BDD100K's), ``mot/VIDEO.txt`` (MOTChallenge) and ``coco_vid.json``. Every frame is in them, also one
    whose image cannot be read.

    Args:
        detector: A `DetInferencer`, or a name or config for ``mmroad.inferencer``; or a model that tracks
            (QDTrack), which takes no tracker.
        tracker: ``byte`` or ``ocsort``; None is ``byte``, or the model's own.
        classes: ``own``, ``any`` or ``vote`` (`mmroad.tracking.base.CLASSES`).
        fps: Frames a second of folders of images (default: 5); videos have their own.
        camera: Find the camera's motion and move the tracks with it.
        tracker_options: Further arguments of the tracker, such as ``memory`` (seconds) or ``high``.
        options: Of ``mmroad.inferencer``: ``weights``, ``device``, ``vocabulary``, ...

    Raises:
        ValueError: A tracker that there is not, or one for a model that tracks itself.
    """

    def __init__(
        self,
        detector: DetInferencer | str | Config,
        tracker: str | None = None,
        classes: str = 'own',
        fps: float | None = None,
        camera: bool = False,
        tracker_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if tracker is not None and tracker not in TRACKERS:
            raise ValueError(f'there is no tracker {tracker!r}; there are {", ".join(TRACKERS)}')
        if fps is not None and fps <= 0:
            raise ValueError(f'fps={fps}: frames a second, more than 0')
        if isinstance(detector, (str, Path)) or not isinstance(detector, Inferencer):
            detector = inferencer(detector, **options)
        self.detect, self.fps = detector, fps or FOLDER_RATE
        own = hasattr(detector.model, 'tracker')
        if own and (tracker is not None or classes != 'own' or camera or tracker_options):
            raise ValueError(
                'this model tracks by itself: no tracker, classes or camera; its settings are model.tracker.* of '
                'its config'
            )
        if not own and not isinstance(detector, DetInferencer):
            raise ValueError(f'{type(detector).__name__} finds no boxes: give a detector')
        kind = TRACKERS[tracker or 'byte']
        arguments = dict(classes=classes) | (tracker_options or {})
        self.camera = camera
        self._make: Callable[[], Any] = detector.new_tracker if own else lambda: kind(**arguments)
        self._make()  # arguments that it does not take are told now
        self.classes = detector.classes

    def run(
        self, source: str | Path, out_dir: str | Path | None = None, progress: bool = True
    ) -> Run[Tracks]:
        """Tracks of the frames of a video, a folder of frames, or a folder or glob of several."""
        source = open_source(source)
        places = _places(source, self.fps)
        states: dict[str, _State] = {}

        def infer(image: np.ndarray, name: str) -> Tracks:
            place = _place_of(name, places)
            if place.video not in states:
                camera = CameraMotion() if self.camera else None
                states[place.video] = _State(
                    self._make(), camera, TrailPainter(round(TRAIL * place.rate) + 1)
                )
            return self._infer(image, name, place, states[place.video])

        if out_dir is None:
            return run_over(source, infer, progress=progress)
        files = TrackFiles(out_dir, self.classes)
        writer = Writer(Tracks.FOLDERS, source, Path(out_dir), [_Collector(files, places, source)])
        return run_over(source, infer, writer.write, writer.close, progress)

    def _infer(self, image: np.ndarray, name: str, place: _Place, state: _State) -> Tracks:
        found = self._tracked(image, name, place, state)
        names = [self.classes[label] for label in found.labels.tolist()]
        picture = state.painter.draw(image, found.ids.tolist(), found.boxes, names)
        return Tracks(name, place.video, place.index, *found, names, picture=picture)

    def _tracked(self, image: np.ndarray, name: str, place: _Place, state: _State) -> Tracked:
        if hasattr(self.detect.model, 'tracker'):
            return self.detect.track(image, name, place.index, state.tracker)
        sample = self.detect.forward([self.detect.prepare(image, name)])[0]
        found = finite_and_sorted(sample.pred_instances.cpu(), name)
        boxes, scores, labels = (getattr(found, key).numpy() for key in ('bboxes', 'scores', 'labels'))
        motion = None
        if state.camera is not None:
            motion = state.camera.update(image, boxes[scores >= state.tracker.high])
        return state.tracker.update(boxes, scores, labels, place.index / place.rate, motion)


class TrackModelInferencer(DetInferencer):
    """Runs a model that tracks (QDTrack) frame by frame; `TrackInferencer` uses it.

    Args:
        model, options: See `Inferencer`.
    """

    kind = 'tracking'

    def __init__(self, model: torch.nn.Module | Config | str, **options: Any) -> None:
        Inferencer.__init__(self, model, **options)
        cfg = self.model.cfg
        init_default_scope('mmdet')
        broadcast, *rest = (dict(step) for step in single_dataset(cfg)['pipeline'])
        inner = [dict(type='LoadImageFromNDArray'), *broadcast['transforms'][1:]]  # the first loads a file
        self.pipeline = Compose([dict(broadcast, transforms=inner), *rest])
        self.classes = self.model.dataset_meta['classes']

    def infer(self, image: np.ndarray, name: str) -> Tracks:
        """Refused: the model follows a video's frames."""
        raise ValueError('this is a model that tracks: use `mmroad track`, or mmroad.inference.tracking')

    def new_tracker(self) -> Any:
        """A tracker of the model's settings, for one video."""
        init_default_scope('mmdet')
        return MODELS.build(self.model.cfg.model.tracker)

    def track(self, image: np.ndarray, name: str, index: int, tracker: Any) -> Tracked:
        """The tracks of a frame.

        Raises:
            ImageError: The image cannot be prepared, or boxes or scores are not finite.
        """
        shape = image.shape
        data = dict(img=[image], img_id=[0], frame_id=[index], ori_shape=[shape[:2]])
        try:
            data = self.pipeline(data)
        except (cv2.error, ValueError, ArithmeticError, MemoryError) as error:
            raise ImageError(f'{name} {shape} cannot be prepared for the model: {error}') from error
        self.model.tracker = tracker
        with torch.inference_mode():
            batch = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
            found = self.model.test_step(batch)[0][0].pred_track_instances.cpu()
        if not found.bboxes.isfinite().all() or not found.scores.isfinite().all():
            raise ImageError(f'{name}: boxes or scores are not finite: the weights are damaged')
        ids = found.instances_id.numpy() + 1
        return Tracked(ids, found.bboxes.numpy(), found.scores.numpy(), found.labels.numpy())


class _Collector:
    """Gives the frames of a run to `TrackFiles`."""

    FILES = TrackFiles.FILES

    def __init__(self, files: TrackFiles, places: dict[str, _Place], source: Source) -> None:
        self.files, self.places, self.source = files, places, source

    def add(self, result: Tracks, item: Item) -> None:
        lists = (array.tolist() for array in (result.boxes, result.scores, result.labels))
        prediction = TrackPrediction(
            result.index,
            PurePath(result.name).name,
            *lists,
            video=result.video,
            frame_index=result.index,
            ids=result.ids.tolist(),
        )
        height, width = result.picture.shape[:2]
        self.files.add_frame(prediction, (width, height))

    def close(self) -> None:
        self.files.write(
            TrackPrediction(
                place.index,
                PurePath(name).name,
                [],
                [],
                [],
                video=place.video,
                frame_index=place.index,
                ids=[],
            )
            for name, place in self.places.items()
            if not name.endswith('/')
        )


def _places(source: Source, fps: float) -> dict[str, _Place]:
    """Video, number and rate of every image by its name; of a video file the rate, under its name with a slash."""
    places: dict[str, _Place] = {}
    counts: dict[str, int] = {}
    for item in source.items:
        if item.is_video:
            places[f'{item.name}/'] = _Place(item.name, 0, frame_rate(item.path))
            continue
        video = str(PurePath(item.name).parent)
        video = (source.base.resolve().name or 'video') if video == '.' else video
        places[item.name] = _Place(video, counts.get(video, 0), fps)
        counts[video] = counts.get(video, 0) + 1
    return places


def _place_of(name: str, places: dict[str, _Place]) -> _Place:
    if name in places:
        return places[name]
    video, _, number = name.removesuffix('.jpg').rpartition('_')
    return places[f'{video}/']._replace(index=int(number))
