import pytest
import torch
import torch.nn.functional as F

from mmroad.mask2former import semantic, semantic_map, upsample_rows


@pytest.mark.parametrize('size', [(64, 96), (61, 93), (16, 24), (7, 100)])
def test_bands_of_rows_are_interpolates(size):
    masks = 20 * torch.randn(5, 16, 24, generator=torch.Generator().manual_seed(0))
    want = F.interpolate(masks[None], size, mode='bilinear', align_corners=False)[0]
    for start in range(0, size[0], 9):
        stop = min(start + 9, size[0])
        torch.testing.assert_close(
            upsample_rows(masks, size, start, stop), want[:, start:stop], atol=5e-5, rtol=0
        )


@pytest.mark.parametrize('band', [1, 3000, 2**21])
def test_semantic_map_is_the_sum_of_whole_masks(band, monkeypatch):
    monkeypatch.setattr(semantic, 'BAND', band)
    g = torch.Generator().manual_seed(0)
    scores = torch.randn(7, 4, generator=g).softmax(-1)[:, :-1]
    masks = 20 * torch.randn(7, 16, 24, generator=g)
    whole = F.interpolate(masks[None], (64, 96), mode='bilinear', align_corners=False)[0].sigmoid()
    want = torch.einsum('qc,qhw->chw', scores, whole)[:, :61, :90]
    got = semantic_map(scores, masks, (64, 96), size=(61, 90))
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)


@pytest.mark.parametrize('final', [(100, 133), (31, 40), (61, 77)])
def test_resized_map_is_the_map_resized(final, monkeypatch):
    monkeypatch.setattr(semantic, 'BAND', 7000)
    g = torch.Generator().manual_seed(0)
    scores = torch.randn(7, 4, generator=g).softmax(-1)[:, :-1]
    masks = 5 * torch.randn(7, 16, 24, generator=g)
    whole = semantic_map(scores, masks, (64, 96), size=(61, 90))
    want = F.interpolate(whole[None], final, mode='bilinear', align_corners=False)[0]
    got = semantic_map(scores, masks, (64, 96), size=(61, 90), final=final)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)
