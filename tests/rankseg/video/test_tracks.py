"""Clips, resizing, stitching, and the result file read back by pycocotools."""

import json
import zipfile

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask

from mmroad.rankseg.video.results import to_results, write_results
from mmroad.rankseg.video.tracks import (
    TrackStitcher,
    clip_windows,
    encode,
    mask_iou,
    resize_masks,
    semantic_map,
)

META = dict(img_shape=(24, 40), batch_input_shape=(32, 64), ori_shape=(36, 60))


def bounds(*args):
    return [(clip.start, clip.stop) for clip in clip_windows(*args)]


def test_clips():
    assert bounds(45, 20) == [(0, 20), (20, 40), (40, 45)]
    assert bounds(5, None) == bounds(5, 20) == bounds(5, 8, 5) == [(0, 5)]
    assert bounds(10, 4, 2) == [(0, 4), (2, 6), (4, 8), (6, 10)]
    assert bounds(9, 4, 2) == [(0, 4), (2, 6), (4, 8), (6, 9)]
    assert bounds(5, 4, 2) == [(0, 4), (2, 5)]
    with pytest.raises(ValueError, match='overlap'):
        bounds(9, 4, 4)


def queries(num, frames, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(num, 6, generator=g) * 2, torch.randn(num, frames, 8, 16, generator=g) * 2


def test_masks_are_resized_before_the_sigmoid():
    logits, masks = queries(5, 1)
    up = F.interpolate(masks[:, 0][None], (32, 64), mode='bilinear')[..., :24, :40]
    up = F.interpolate(up, (36, 60), mode='bilinear')[0]
    assert torch.equal(resize_masks(masks[:, 0], META), up)
    scores = logits.softmax(-1)[:, :-1]
    want = torch.einsum('qc,qhw->chw', scores, up.sigmoid()).argmax(0)
    got = semantic_map(scores, masks[:, 0], META)
    assert got.dtype == torch.uint8 and got.shape == (36, 60)
    assert (got == want).float().mean() > 0.999


def published(logits, masks, metas, num_tracks=10):
    """The best pairs of query and class, written out plainly."""
    scores = logits.softmax(-1)[:, :-1]
    values, pairs = scores.flatten().topk(num_tracks)
    tracks = []
    for value, pair in zip(values, pairs):
        query, label = divmod(int(pair), scores.shape[1])
        frames = [resize_masks(masks[query : query + 1, t], meta)[0] > 0 for t, meta in enumerate(metas)]
        tracks.append((float(value), label, torch.stack(frames).numpy()))
    return tracks


def decoded(track):
    return coco_mask.decode(track['segmentations']).transpose(2, 0, 1).astype(bool)


def test_one_clip_is_the_published_rule():
    logits, masks = queries(30, 3)
    masks[logits.softmax(-1)[:, :-1].amax(1).argmax(), 1] = -5.0  # the best track is empty in frame 1
    metas = [META] * 3
    stitcher = TrackStitcher()
    stitcher.add(logits, masks, slice(0, 3), metas)
    got = stitcher.finish(metas)
    assert len(got) == 10
    for track, (score, label, want) in zip(got, published(logits, masks, metas), strict=True):
        assert track['score'] == pytest.approx(score) and track['label'] == label
        assert np.array_equal(decoded(track), want)
    assert not decoded(got[0])[1].any() and decoded(got[0])[0].any()


def blobs(num, frames):
    """Class logits and masks of objects apart from one another that move to the right."""
    logits = torch.full((num, 6), -2.0)
    masks = torch.full((num, frames, 32, 64), -4.0)
    for q in range(num):
        logits[q, q % 5] = 3.0 + 0.1 * q
        for t in range(frames):
            masks[q, t, 6 * q : 6 * q + 5, 2 + t : 12 + t] = 4.0
    return logits, masks


@pytest.mark.parametrize('clip_length, overlap', [(6, 2), (4, 1), (20, 3)])
def test_stitched_clips_equal_one_pass(clip_length, overlap):
    """Where queries give every frame the same masks and classes whatever the clip, in another order in each."""
    logits, masks = blobs(5, 14)
    metas = [META] * 14
    stitcher = TrackStitcher(num_tracks=5, candidates=5)
    for i, clip in enumerate(clip_windows(14, clip_length, overlap)):
        order = torch.randperm(5, generator=torch.Generator().manual_seed(i))
        stitcher.add(logits[order], masks[order, clip], clip, metas[clip])
    got = stitcher.finish(metas)
    assert len(stitcher.tracks) == 5
    for track, (score, label, want) in zip(got, published(logits, masks, metas, 5), strict=True):
        assert track['score'] == pytest.approx(score, rel=1e-5) and track['label'] == label
        assert np.array_equal(decoded(track), want)


PLAIN = dict(img_shape=(8, 16), batch_input_shape=(8, 16), ori_shape=(8, 16))  # masks as they are


def stitched(first, second, logits, overlap=1, **options):
    """Two clips of two frames that share ``overlap``; masks of each are (Q, T, 8, 16) bool, logits (Q, C + 1)."""
    stitcher = TrackStitcher(**{'num_tracks': 2, 'candidates': 2, **options})
    start = 2 - overlap
    for clip, masks, scores in zip(
        (slice(0, 2), slice(start, start + 2)), (first, second), logits, strict=True
    ):
        stitcher.add(scores, masks.float() * 8 - 4, clip, [PLAIN] * 2)
    return stitcher, stitcher.finish([PLAIN] * (start + 2))


def rows(*lengths):
    """One mask (1, T, 8, 16): in frame t the first ``lengths[t]`` pixels of a row."""
    masks = torch.zeros(1, len(lengths), 8, 16, dtype=torch.bool)
    for t, length in enumerate(lengths):
        masks[0, t, 3, :length] = True
    return masks


def test_shared_frames_have_the_first_clips_mask():
    sure = torch.tensor([[5.0, 0, 0]])
    stitcher, (track, _) = stitched(rows(10, 10), rows(9, 7), (sure, sure))
    assert len(stitcher.tracks) == 1
    assert [int(mask.sum()) for mask in decoded(track)] == [10, 10, 7]


@pytest.mark.parametrize('length, joined', [(5, True), (4, False)])
def test_an_overlap_of_exactly_the_least_iou_joins(length, joined):
    sure = torch.tensor([[5.0, 0, 0]])
    stitcher, _ = stitched(rows(10, 10), rows(length, length), (sure, sure), min_iou=0.5)
    assert len(stitcher.tracks) == (1 if joined else 2)


def test_objects_that_overlap_are_told_apart_by_class():
    """Both queries have the same mask; in the second clip they come in the other order."""
    logits = torch.tensor([[6.0, 0, 0], [0, 6.0, 0]])
    masks = rows(10, 10).expand(2, -1, -1, -1)
    stitcher, (first, second) = stitched(masks, masks, (logits, logits.flip(0)))
    assert len(stitcher.tracks) == 2
    best = logits[0].softmax(0)[0].item()
    assert {first['label'], second['label']} == {0, 1}
    assert first['score'] == pytest.approx(best) and second['score'] == pytest.approx(best)


def test_new_objects_start_and_gone_objects_end():
    logits, masks = blobs(2, 8)
    masks[0, 4:] = -4.0  # is there in frames 0 to 3
    masks[1, :6] = -4.0  # is there in frames 6 and 7
    metas = [META] * 8
    stitcher = TrackStitcher(num_tracks=2, candidates=2)
    stitcher.add(logits[:1], masks[:1, :4], slice(0, 4), metas[:4])
    stitcher.add(logits[1:], masks[1:, 3:], slice(3, 8), metas[3:])
    second, first = stitcher.finish(metas)
    assert [code.any() for code in decoded(first)] == [True] * 4 + [False] * 4
    assert [code.any() for code in decoded(second)] == [False] * 6 + [True] * 2


def test_mask_iou():
    a = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0]]).bool()
    b = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 1]]).bool()
    assert mask_iou(a, b).tolist() == [[0.5, 0.25], [0.0, 0.0]]


def test_results_are_read_back(tmp_path):
    rng = np.random.default_rng(0)
    masks = [rng.random((20, 30)) > 0.6, np.zeros((20, 30), bool)]
    track = dict(score=0.5, label=3, segmentations=[encode(mask) for mask in masks])
    write_results(to_results(7, [track]), tmp_path / 'out')
    with zipfile.ZipFile(tmp_path / 'out/results.zip') as archive:
        assert archive.namelist() == ['results.json']
        zipped = json.loads(archive.read('results.json'))
    (entry,) = json.loads((tmp_path / 'out/results.json').read_text())
    assert zipped == [entry] and not list(tmp_path.glob('out/.*'))
    assert (entry['video_id'], entry['category_id'], entry['score']) == (7, 4, 0.5)
    for code, mask in zip(entry['segmentations'], masks, strict=True):
        assert np.array_equal(coco_mask.decode(code), mask)
