"""Video Mask2Former: instance tracks or the class of every pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.models.vis import Mask2FormerVideo
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import PixelData
from torch import Tensor

from .tracks import TrackStitcher, clip_windows, semantic_map

TASKS = ('instance', 'semantic')


@MODELS.register_module()
class VideoMask2Former(Mask2FormerVideo):
    """Mask2Former for videos of any length, clip by clip: instance tracks or the class of every pixel.

    Args:
        task: 'instance' gives each video ``pred_tracks`` (in its metainfo, see `TrackStitcher.finish`),
            'semantic' gives each frame ``pred_sem_seg`` (1, H, W) uint8, and the metainfo ``rankings``: each
            clip's slice and ranked classes, of models that rank.
        clip_length: Frames in one forward pass; None takes the whole video at once. Memory grows with it, not
            with the video.
        overlap: Frames that clips share, by which tracks are stitched (instance only).
        num_tracks: Tracks of a video.
        backbone_frames: Frames in one pass of the backbone.
    """

    kind = 'video'  #: the inferencer that runs it (`mmroad.inference.build`)

    def __init__(
        self,
        *args,
        task: str,
        clip_length: int | None = None,
        overlap: int = 0,
        num_tracks: int = 10,
        backbone_frames: int = 8,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        if task not in TASKS:
            raise ValueError(f'task is {task!r}, one of {TASKS} is expected')
        if task == 'semantic' and overlap:
            raise ValueError(f'overlap is {overlap}: semantic clips do not overlap')
        self.task, self.clip_length, self.overlap = task, clip_length, overlap
        self.num_tracks, self.backbone_frames = num_tracks, backbone_frames

    def clip_queries(self, images: Tensor, frames: Sequence[DetDataSample]) -> tuple[Tensor, Tensor]:
        """Class logits (Q, C + 1) and mask logits (Q, T, h, w) of a clip of normalized frames (T, 3, H, W).

        Raises:
            ValueError: They are not finite.
        """
        parts = [self.backbone(part) for part in images.split(self.backbone_frames)]
        queries = self.track_head.predict_queries([torch.cat(level) for level in zip(*parts)], frames)
        if not all(logits.isfinite().all() for logits in queries):
            first = frames[0].metainfo.get('img_path', 'a clip')
            raise ValueError(
                f'{first} and the {len(frames) - 1} frames after it: predictions are not finite; the checkpoint is of '
                f'a run that diverged'
            )
        return queries

    def semantic_maps(self, images: Tensor, frames: Sequence[DetDataSample]) -> list[Tensor]:
        """The class of every pixel of a clip's frames, each (H, W) uint8 at its original size."""
        class_logits, masks = self.clip_queries(images, frames)
        scores = class_logits.softmax(-1)[:, :-1]
        return [semantic_map(scores, masks[:, t], frame.metainfo) for t, frame in enumerate(frames)]

    def predict(
        self, inputs: Tensor, data_samples: list[TrackDataSample], rescale: bool = True
    ) -> list[TrackDataSample]:
        """Predict one video, (1, T, 3, H, W), at its original size.

        Raises:
            ValueError: The batch has several videos, or ``rescale`` is False.
        """
        if len(data_samples) != 1 or not rescale:
            raise ValueError('videos are predicted one by one and at their original size')
        images, (sample,) = inputs[0], data_samples
        frames = list(sample.video_data_samples)
        windows = clip_windows(len(frames), self.clip_length, self.overlap)
        if self.task == 'semantic':
            rankings = []
            for clip in windows:
                for frame, labels in zip(frames[clip], self.semantic_maps(images[clip], frames[clip])):
                    frame.pred_sem_seg = PixelData(data=labels[None])
                ranking = getattr(self.track_head, 'ranking', None)
                rankings += [] if ranking is None else [(clip, ranking[0].tolist())]
            sample.set_metainfo(dict(rankings=rankings))
            return data_samples
        metas = [frame.metainfo for frame in frames]
        stitcher = TrackStitcher(self.num_tracks)
        for clip in windows:
            stitcher.add(*self.clip_queries(images[clip], frames[clip]), clip, metas[clip])
        sample.set_metainfo(dict(pred_tracks=stitcher.finish(metas)))
        return data_samples
