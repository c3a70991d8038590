"""From a clip's queries to tracks, and from clips to a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ...mask2former import mask_bands, sum_queries


def clip_windows(length: int, clip_length: int | None, overlap: int = 0) -> Iterator[slice]:
    """Clips of ``clip_length`` frames that cover a video, each sharing ``overlap`` frames with the one
    before; the last may be shorter. None is one clip of all frames."""
    clip_length = clip_length or length
    if not 0 <= overlap < clip_length:
        raise ValueError(f'clips of {clip_length} frames cannot overlap by {overlap}')
    for start in range(0, max(length - overlap, 1), clip_length - overlap):
        yield slice(start, min(start + clip_length, length))


def resize_masks(masks: Tensor, meta: dict) -> Tensor:
    """Mask logits (Q, h, w) of the padded input at the image's original size, (Q, H, W): upsampled to the
    input (``batch_input_shape``), cropped to the image in it (``img_shape``), resized to ``ori_shape``."""
    height, width = meta['img_shape'][:2]
    masks = _resize(masks, meta['batch_input_shape'])[:, :height, :width]
    return _resize(masks, meta['ori_shape'])


def _resize(masks: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(masks[None], tuple(size[:2]), mode='bilinear', align_corners=False)[0]


def semantic_map(scores: Tensor, masks: Tensor, meta: dict) -> Tensor:
    """The class of every pixel of one frame, (H, W) uint8 at the original size.

    The argmax over classes of sum_q scores_qc sigmoid(m_q); masks are resized before the sigmoid, as published.

    Args:
        scores: Class probabilities (Q, C) without "no object".
        masks: Mask logits (Q, h, w).
        meta: See `resize_masks`.
    """
    sizes = [tuple(meta[key][:2]) for key in ('batch_input_shape', 'img_shape', 'ori_shape')]
    labels = torch.empty(sizes[-1], dtype=torch.uint8, device=masks.device)
    for rows, probs in mask_bands(masks, *sizes, resize_masks=True):
        labels[rows] = sum_queries(scores, probs).max(0).indices.to(torch.uint8)
    return labels


def encode(mask: np.ndarray) -> dict:
    """A mask (H, W) as COCO's compressed run-length code, ready for JSON; an empty mask has one too."""
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return dict(size=[int(side) for side in rle['size']], counts=rle['counts'].decode())


def mask_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of every pair of flattened masks, (M, P) and (N, P) bool to (M, N)."""
    a, b = a.float(), b.float()
    common = a @ b.T
    return common / (a.sum(1)[:, None] + b.sum(1) - common).clamp(min=1)


@dataclass
class _Track:
    score_sum: Tensor  # (C,), sum over frames
    frames: int
    codes: dict[int, dict]  # frame to run-length code


class TrackStitcher:
    """Joins the tracks of overlapping clips to tracks of a video, in memory that holds one clip's masks and
    the run-length codes of all frames.

    Of each clip the ``candidates`` queries (20) with the best class score are kept. A query goes on with the track
    of the clip before whose mask in the shared frames overlaps its own (IoU of at least ``min_iou``; the
    assignment has the largest sum of IoU times common class probability, sum_c min(p_c, q_c)); else it starts
    a track. A track's class scores are the mean over the frames of its clips. At the end the best
    ``num_tracks`` of all (track, class) pairs remain. For a single clip this is the published rule: the best
    10 over queries x classes.

    An object that is hidden in all shared frames becomes two tracks.
    """

    def __init__(self, num_tracks: int = 10, candidates: int | None = None, min_iou: float = 0.5) -> None:
        candidates = max(20, num_tracks) if candidates is None else candidates
        if candidates < num_tracks:
            raise ValueError(f'{candidates} candidates cannot give {num_tracks} tracks')
        self.num_tracks, self.candidates, self.min_iou = num_tracks, candidates, min_iou
        self.tracks: list[_Track] = []
        self._active: list[_Track] = []  # of the last clip, in the order of its masks
        self._masks: Tensor | None = None  # of the last clip, (M, T, h, w) bool at the head's resolution
        self._clip = slice(0, 0)

    def add(self, class_logits: Tensor, mask_logits: Tensor, clip: slice, metas: list[dict]) -> None:
        """Add the next clip.

        Args:
            class_logits: (Q, C + 1).
            mask_logits: (Q, T, h, w).
            clip: Its frames in the video.
            metas: The frames' metainfo, see `resize_masks`.
        """
        scores = class_logits.softmax(-1)[:, :-1]
        best = scores.amax(1).topk(min(self.candidates, len(scores))).indices
        scores, logits = scores[best], mask_logits[best]
        masks = logits > 0
        shared = max(self._clip.stop - clip.start, 0)
        active = self._continue(scores, masks, shared)
        length = clip.stop - clip.start
        for track, score in zip(active, scores.cpu(), strict=True):
            track.score_sum, track.frames = track.score_sum + length * score, track.frames + length
        for t, meta in enumerate(metas):
            frame = clip.start + t
            for track, mask in zip(active, resize_masks(logits[:, t], meta).gt(0).cpu().numpy(), strict=True):
                if frame not in track.codes:
                    track.codes[frame] = encode(mask)
        self._active, self._masks, self._clip = active, masks, clip

    def _continue(self, scores: Tensor, masks: Tensor, shared: int) -> list[_Track]:
        """The track of each query (N): one of the last clip's, or a new one."""
        found: list[_Track | None] = [None] * len(scores)
        if shared and self._active:
            before = self._masks[:, -shared:].flatten(1)
            iou = mask_iou(before, masks[:, :shared].flatten(1)).cpu()
            old = torch.stack([track.score_sum / track.frames for track in self._active])
            alike = torch.minimum(old[:, None], scores.cpu()[None]).sum(-1)
            gain = (iou * alike).where(iou >= self.min_iou, 0)
            for i, j in zip(*linear_sum_assignment(-gain.numpy())):
                if gain[i, j] > 0:
                    found[j] = self._active[i]
        classes = scores.shape[1]
        for j, track in enumerate(found):
            if track is None:
                found[j] = _Track(torch.zeros(classes), 0, {})
                self.tracks.append(found[j])
        return found

    def finish(self, metas: list[dict]) -> list[dict]:
        """The video's tracks, best first: ``score``, ``label`` (0-based) and ``segmentations``, a run-length
        code for each frame, empty ones included.

        Args:
            metas: The metainfo of all frames; ``ori_shape`` is read.
        """
        scores = torch.stack([track.score_sum / track.frames for track in self.tracks])
        values, pairs = scores.flatten().topk(min(self.num_tracks, scores.numel()))
        blank = {tuple(meta['ori_shape'][:2]): None for meta in metas}
        blank = {size: encode(np.zeros(size, bool)) for size in blank}
        results = []
        for value, pair in zip(values.tolist(), pairs.tolist(), strict=True):
            track, label = divmod(pair, scores.shape[1])
            codes = self.tracks[track].codes
            segmentations = [
                codes.get(t) or blank[tuple(meta['ori_shape'][:2])] for t, meta in enumerate(metas)
            ]
            results.append(dict(score=value, label=label, segmentations=segmentations))
        return results
