"""Video segmentation of video files and folders of frames.

import mmroad
from mmroad.rankseg.video.inference import VideoInferencer

model = mmroad.init_model('video_maskformer2_R101_bs16_8ep-rankseg_vspw', 'vspw.pth')
for result in VideoInferencer(model).run('drive.mp4', out_dir='out'):
    result.classes, result.picture
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from torch import Tensor

from mmroad.media import VIDEOS, open_source, write_image

from .pictures import VideoFile, overlay_classes, overlay_tracks
from .results import to_results, write_results
from .tracks import TrackStitcher

FROM_FILES = ('LoadFrame', 'LoadVideoLabels', 'LoadImageFromFile')
Frame = tuple[str, np.ndarray]


class FrameResult(NamedTuple):
    """One frame's result."""

    name: str  #: the file's name, NAME_FRAME.jpg for a video file
    classes: np.ndarray | None  #: semantic models: (H, W) uint8
    tracks: list[dict] | None  #: instance models: the whole video's tracks, the same in every frame
    picture: np.ndarray  #: (H, W, 3) BGR uint8, the frame under its classes or tracks


class VideoInferencer:
    """Runs a video model on a video file or a folder of frames (one video), however long.

    Memory holds one clip of frames, and for tracks the run-length codes of all frames. Tracks are known at the
    end of a video, so it is read twice.

    Args:
        model: A built `VideoMask2Former` with its config as ``model.cfg`` (``mmroad.init_model``).
        clip_length: Frames in one forward pass (default: the model's; None there is the whole video).
        overlap: Frames that clips of instance models share (default: the model's).
        threshold: Tracks from this score on are drawn.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        clip_length: int | None = None,
        overlap: int | None = None,
        threshold: float = 0.3,
    ) -> None:
        self.model, self.threshold = model.eval(), threshold
        self.clip_length = model.clip_length if clip_length is None else clip_length
        self.overlap = model.overlap if overlap is None else overlap
        if getattr(getattr(model.track_head, 'rank_seg', None), 'oracle', False):
            raise ValueError('a model in oracle mode (+GT) needs the ground truth: take one without')
        if model.task == 'semantic' and self.overlap:
            raise ValueError(f'overlap is {self.overlap}: semantic clips do not overlap')
        if self.clip_length is not None and not 0 <= self.overlap < self.clip_length:
            raise ValueError(f'clips of {self.clip_length} frames cannot overlap by {self.overlap}')
        init_default_scope('mmdet')
        steps = model.cfg.test_dataloader.dataset.pipeline[0]['transforms']
        self.resize = Compose([step for step in steps if step['type'] not in FROM_FILES])
        self.meta = model.dataset_meta

    def run(
        self,
        source: str | Path,
        out_dir: str | Path | None = None,
        progress: bool = True,
        fps: float | None = None,
    ) -> Iterator[FrameResult]:
        """Results of a video's frames, in order.

        Args:
            source: A video file or a folder of frames.
            out_dir: Write ``NAME.mp4`` with the overlays to it, and ``classes/NAME.png`` (uint8) or
                ``results.json`` in YouTube-VIS's form (video_id 1).
            progress: Show a progress bar.
            fps: Of the video written (default: the source's; 10 for a folder).

        Raises:
            FileNotFoundError, ValueError: No such source, frames of several sizes, or a model in oracle mode,
                which needs the ground truth.
        """
        results = self._semantic if self.model.task == 'semantic' else self._instance
        passes = 1 if self.model.task == 'semantic' else 2
        total = open_source(source)[1]
        with _progress(str(source), total * passes, progress) as advance:
            frames = results(source, advance)
            if out_dir is None:
                yield from frames
                return
            out_dir = Path(out_dir)
            with VideoFile(out_dir / f'{Path(source).stem}.mp4', fps or _fps(source), source) as video:
                for result in frames:
                    video.write(result.picture)
                    if result.classes is not None:
                        name = Path(result.name).with_suffix('.png')
                        write_image(out_dir / 'classes' / name, result.classes)
                    yield result
            if self.model.task == 'instance':
                write_results(to_results(1, result.tracks), out_dir)

    @torch.no_grad()
    def _prepare(self, frames: list[Frame]) -> tuple[Tensor, list[DetDataSample]]:
        """Normalised images (T, 3, H, W) and their samples."""
        images, samples = [], []
        for name, image in frames:
            size = image.shape[:2]
            if size != frames[0][1].shape[:2]:
                raise ValueError(f'{name} is {size}, but {frames[0][0]} is {frames[0][1].shape[:2]} pixels')
            data = self.resize(dict(img=image, img_shape=size, ori_shape=size))
            images.append(torch.from_numpy(np.ascontiguousarray(data['img'].transpose(2, 0, 1))))
            meta = dict(img_path=name, ori_shape=size, img_shape=data['img_shape'])
            samples.append(DetDataSample(metainfo=meta))
        sample = TrackDataSample()
        sample.video_data_samples = samples
        data = dict(inputs=[torch.stack(images)], data_samples=[sample])
        data = self.model.data_preprocessor(data, False)
        return data['inputs'][0], data['data_samples'][0].video_data_samples

    def _clips(self, source: str | Path) -> Iterator[tuple[slice, list[Frame]]]:
        """Clips as of `clip_windows`, of a source whose length is known when it ends."""
        stream = open_source(source)[0]
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
    def _semantic(self, source: str | Path, advance: Callable[[], None]) -> Iterator[FrameResult]:
        for _, frames in self._clips(source):
            maps = self.model.semantic_maps(*self._prepare(frames))
            for (name, image), labels in zip(frames, maps, strict=True):
                classes = labels.cpu().numpy()
                picture = overlay_classes(image, classes, self.meta['palette'])
                advance()
                yield FrameResult(name, classes, None, picture)

    @torch.no_grad()
    def _instance(self, source: str | Path, advance: Callable[[], None]) -> Iterator[FrameResult]:
        stitcher = TrackStitcher(self.model.num_tracks)
        metas: list[dict] = []
        for clip, frames in self._clips(source):
            images, samples = self._prepare(frames)
            clip_metas = [sample.metainfo for sample in samples]
            stitcher.add(*self.model.clip_queries(images, samples), clip, clip_metas)
            for meta in clip_metas[len(metas) - clip.start :]:
                metas.append(meta)
                advance()
        tracks = stitcher.finish(metas)
        for t, (name, image) in enumerate(open_source(source)[0]):
            picture = overlay_tracks(image, tracks, t, self.meta['classes'], self.threshold)
            advance()
            yield FrameResult(name, None, tracks, picture)


def _fps(source: str | Path) -> float:
    if Path(source).suffix.lower() in VIDEOS:
        return cv2.VideoCapture(str(source)).get(cv2.CAP_PROP_FPS) or 25.0
    return 10.0


@contextmanager
def _progress(title: str, total: int, shown: bool) -> Iterator[Callable[[], None]]:
    """A progress bar; gives the function that advances it."""
    from rich.progress import Progress

    with Progress(disable=not shown) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)
