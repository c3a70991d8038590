"""Video segmentation of video files and folders of frames.

import mmroad

segment = mmroad.inferencer('video_maskformer2_R101_bs16_8ep-rankseg_vspw', 'vspw.pth')
for result in segment.run('drive.mp4', out_dir='out'):
    result.classes, result.picture
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_mask
from torch import Tensor

from ..anomaly.pictures import overlay_classes
from ..files import ImageError, write_image
from ..files.outputs import OutputNames, RunFolder
from ..files.progress import steps
from ..files.sources import Source, frame_rate, open_source
from ..files.videos import VideoFile
from ..rankseg.video.pictures import overlay_tracks
from ..rankseg.video.results import to_results, write_results
from ..rankseg.video.tracks import TrackStitcher
from .base import Inferencer, Run, transformed
from .pictures import with_legend
from .results import Object, Result, box_of, regions
from .segmentation import ClassNames, refuse_oracle

if TYPE_CHECKING:
    from mmengine.config import Config

FROM_FILES = ('LoadFrame', 'LoadVideoLabels', 'LoadImageFromFile')
Frame = tuple[str, np.ndarray]


@dataclass(repr=False, eq=False)
class FrameResult(Result):
    """One frame's result. Its objects are the tracks that are in the frame, or the classes' regions."""

    index: int  #: the frame's number in the video, from 0
    class_names: tuple[str, ...]  #: of all classes
    classes: np.ndarray | None = None  #: semantic models: (H, W) uint8
    tracks: list[dict] | None = None  #: instance models: the whole video's tracks, the same in every frame

    FOLDERS: ClassVar = dict(pictures='.jpg')

    def objects(self) -> list[Object]:
        """The tracks' masks in this frame, or the classes' regions."""
        if self.tracks is None:
            assert self.classes is not None, 'a result has tracks or classes'
            return regions(self.classes, dict(enumerate(self.class_names)))
        found = []
        for number, track in enumerate(self.tracks):
            mask = coco_mask.decode(track['segmentations'][self.index]).astype(bool)
            if mask.any():
                label, score, extras = track['label'], track.get('score'), dict(track_id=number)
                found.append(Object(self.class_names[label], label, box_of(mask), score, mask, extras))
        return found


class VideoInferencer(Inferencer[FrameResult]):
    """Runs a video model on video files and folders of frames, however long; each folder of frames is one video.

    Memory holds one clip of frames, and for tracks the run-length codes of all frames. Tracks are known at the
    end of a video, so it is read twice.

    Args:
        model, options: See `Inferencer`.
        clip_length: Frames in one forward pass (default: the model's; None there is the whole video).
        overlap: Frames that clips of instance models share (default: the model's).
        threshold: Tracks from this score on are drawn.
    """

    kind = 'video'
    result = FrameResult

    def __init__(
        self,
        model: torch.nn.Module | Config | str,
        clip_length: int | None = None,
        overlap: int | None = None,
        threshold: float = 0.3,
        **options: Any,
    ) -> None:
        super().__init__(model, **options)
        self.threshold, model = threshold, self.model
        self.clip_length = model.clip_length if clip_length is None else clip_length
        self.overlap = model.overlap if overlap is None else overlap
        refuse_oracle(model)
        if model.task == 'semantic' and self.overlap:
            raise ValueError(f'overlap is {self.overlap}: semantic clips do not overlap')
        if self.clip_length is not None and not 0 <= self.overlap < self.clip_length:
            raise ValueError(f'clips of {self.clip_length} frames cannot overlap by {self.overlap}')
        init_default_scope('mmdet')
        steps = model.cfg.test_dataloader.dataset.pipeline[0]['transforms']
        self.resize = Compose([step for step in steps if step['type'] not in FROM_FILES])
        self.meta = model.dataset_meta
        self.names = tuple(self.meta['classes'])

    def __call__(self, image: Any, name: str = '') -> FrameResult:
        """Refused: a model of videos sees several frames at once."""
        raise ValueError('this is a model of videos: use run(VIDEO)')

    def run(  # type: ignore[override]  # its one option by name
        self,
        source: str | Path | Sequence[str | Path] | Source,
        out_dir: str | Path | None = None,
        progress: bool = True,
        fps: float | None = None,
    ) -> Run[FrameResult]:
        """Results of a video's frames, in order.

        Frames that cannot be read are left out (see `Run.left_out`), of several videos also one that cannot be
        used as a whole.

        Args:
            source: A video file or a folder of frames; or a folder or glob of several.
            out_dir: Write ``NAME.mp4`` with the overlays to it, and ``classes/NAME.png`` (uint8, their names and
                colors in ``classes.json``) or
                ``results.json`` in YouTube-VIS's form (video_id 1); of several videos, each into a folder of its
                name.
            progress: Show a progress bar.
            fps: Of the video written (default: the source's; 10 for a folder).

        Raises:
            FileNotFoundError, ValueError: No such source, frames of several sizes, names that do not fit into
                ``out_dir``, or a model in oracle mode, which needs the ground truth.
        """
        opened = open_source(source)
        videos = opened.videos()
        outputs: Sequence[_Output | None] = [None] * len(videos)
        if out_dir is not None:
            outputs = _outputs(opened, videos, Path(out_dir), fps)
        passes = 1 if self.model.task == 'semantic' else 2

        def results() -> Generator[FrameResult]:
            total = opened.total
            with steps(opened.title, total and total * passes, progress) as advance:
                for (name, video), output in zip(videos, outputs):
                    try:
                        yield from self._run(video, output, advance)
                    except ImageError as error:
                        if len(videos) == 1:
                            raise
                        opened.leave_out(f'video {name}', error)

        return Run(results(), opened.left_out)

    def _run(
        self, video: Source, output: _Output | None, advance: Callable[[], None]
    ) -> Iterator[FrameResult]:
        frames = (
            self._semantic(video, advance)
            if self.model.task == 'semantic'
            else self._instance(video, advance)
        )
        if output is None:
            yield from frames
            return
        with VideoFile(output.folder.folder / f'{output.title}.mp4', output.fps) as file:
            written, names = False, ClassNames(output.folder.folder, self.names, self.meta.get('palette', ()))
            for result in frames:
                if result.tracks is not None and not written:  # all are known from the first frame on
                    write_results(to_results(1, result.tracks), output.folder.folder)
                    written = True
                file.write(result.picture)
                if result.classes is not None:
                    if not written:
                        names.close()
                        written = True
                    write_image(output.folder.path('classes', output.name_of(result.name)), result.classes)
                yield result

    @torch.no_grad()
    def _prepare(self, frames: list[Frame]) -> tuple[Tensor, list[DetDataSample]]:
        """Normalized images (T, 3, H, W) and their samples."""
        images, samples = [], []
        for name, image in frames:
            size = image.shape[:2]
            data = transformed(self.resize, dict(img=image, img_shape=size, ori_shape=size), name)
            images.append(torch.from_numpy(np.ascontiguousarray(data['img'].transpose(2, 0, 1))))
            meta = dict(img_path=name, ori_shape=size, img_shape=data['img_shape'])
            samples.append(DetDataSample(metainfo=meta))
        sample = TrackDataSample()
        sample.video_data_samples = samples
        data = dict(inputs=[torch.stack(images)], data_samples=[sample])
        data = self.model.data_preprocessor(data, False)
        return data['inputs'][0], data['data_samples'][0].video_data_samples

    def _clips(self, source: str | Path | Source) -> Iterator[tuple[slice, list[Frame]]]:
        """Clips as of `clip_windows`, of a source whose length is known when it ends."""
        stream = _of_one_size(open_source(source))
        frames: list[Frame] = []
        start = 0
        while True:
            new = list(islice(stream, self.clip_length and self.clip_length - len(frames)))
            if not new:
                return
            frames += new
            yield slice(start, start + len(frames)), frames
            if self.clip_length is None:
                return
            start += self.clip_length - self.overlap
            frames = frames[self.clip_length - self.overlap :]

    @torch.no_grad()
    def _semantic(self, source: Source, advance: Callable[[], None]) -> Iterator[FrameResult]:
        index = 0
        for _, frames in self._clips(source):
            maps = self.model.semantic_maps(*self._prepare(frames))
            for (name, image), labels in zip(frames, maps, strict=True):
                classes = labels.cpu().numpy()
                picture = overlay_classes(image, classes, self.meta['palette'])
                picture = with_legend(picture, classes, self.names, self.meta['palette'])
                advance()
                yield FrameResult(name, index, self.names, classes, picture=picture)
                index += 1

    @torch.no_grad()
    def _instance(self, source: Source, advance: Callable[[], None]) -> Iterator[FrameResult]:
        stitcher = TrackStitcher(self.model.num_tracks)
        metas: list[dict] = []
        for clip, frames in self._clips(source):
            images, samples = self._prepare(frames)
            clip_metas = [sample.metainfo for sample in samples]
            logits, masks = self.model.clip_queries(images, samples)
            stitcher.add(logits, masks, clip, clip_metas)
            for meta in clip_metas[len(metas) - clip.start :]:
                metas.append(meta)
                advance()
        tracks = stitcher.finish(metas)
        for t, (name, image) in enumerate(source):
            picture = overlay_tracks(image, tracks, t, self.meta['classes'], self.threshold)
            advance()
            yield FrameResult(name, t, self.names, tracks=tracks, picture=picture)


class _Output(NamedTuple):
    """Where a video's results go."""

    folder: RunFolder
    title: str
    fps: float
    inside: bool  # whether the names of frames hold the folder's path, which is then left out

    def name_of(self, frame: str) -> str:
        return PurePath(frame).name if self.inside else frame


def _outputs(
    source: Source, videos: list[tuple[str, Source]], out_dir: Path, fps: float | None
) -> list[_Output]:
    """A video's results go to ``out_dir``, those of several into a folder of its name each."""
    several, places, outputs = len(videos) > 1, OutputNames(out_dir), []
    for name, video in videos:
        first = video.items[0]
        if first.is_video:
            title = PurePath(name).name
        elif Path(source.title).is_dir() and not several:
            title = Path(source.title).stem or source.base.resolve().name
        else:
            title = first.path.parent.resolve().name
        if several:
            inner = [item._replace(name=PurePath(item.name).name) for item in video.items]
            video, place = Source(inner, source.base, name), places.path(name or title, source=first.path)
        else:
            place = out_dir
        files = [f'{title}.mp4', 'classes.json', 'results.json', 'results.zip']
        folder = RunFolder(place, video, files, classes='.png')
        outputs.append(
            _Output(folder, title, fps or (frame_rate(first.path) if first.is_video else 10.0), several)
        )
    return outputs


def _of_one_size(source: Source) -> Iterator[Frame]:
    first = None
    for name, image in source:
        first = first or (name, image.shape[:2])
        if image.shape[:2] != first[1]:
            raise ImageError(
                f'{name} is {image.shape[:2]}, but {first[0]} is {first[1]} pixels: the frames of a video have one '
                f'size'
            )
        yield name, image
