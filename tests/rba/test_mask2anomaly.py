import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmroad.rba.mask2anomaly import GlobalMaskedAttentionLayer
from mmroad.zoo.configs import configs_folder


@pytest.fixture
def layer():
    attention = dict(embed_dims=16, num_heads=2, attn_drop=0.0, proj_drop=0.0, batch_first=True)
    ffn = dict(embed_dims=16, feedforward_channels=32, num_fcs=2, ffn_drop=0.0, act_cfg=dict(type='ReLU'))
    torch.manual_seed(0)
    return GlobalMaskedAttentionLayer(attention, attention, ffn).eval()


def test_queries_attend_to_their_masks_and_to_the_rest(layer):
    """Both attentions by PyTorch, each over its own keys alone; a query without keys has all."""
    query, query_pos, key, key_pos = (torch.randn(1, n, 16) for n in (4, 4, 12, 12))
    blocked = torch.rand(4, 12) < 0.5
    blocked[2] = False  # its mask covers all, or nothing, of which the head makes all
    with torch.no_grad():
        found = layer(
            query=query,
            key=key,
            value=key,
            query_pos=query_pos,
            key_pos=key_pos,
            cross_attn_mask=blocked.repeat(2, 1, 1),
            key_padding_mask=None,
        )
        sums = []
        for q in range(4):
            total = query[0, q]
            for attention, keep in ((layer.cross_attn, ~blocked[q]), (layer.background_attn, blocked[q])):
                keep = keep if keep.any() else ~keep
                keys, values = (key + key_pos)[0, keep], key[0, keep]
                total = total + attention.attn((query + query_pos)[0, q : q + 1], keys, values)[0][0]
            sums.append(total)
        x = layer.norms[0](torch.stack(sums))
        with_pos = x + query_pos[0]
        y = layer.norms[1](x + layer.self_attn.attn(with_pos, with_pos, x)[0])
        torch.testing.assert_close(found[0], layer.norms[2](layer.ffn(y)), atol=1e-5, rtol=0)


def test_the_published_model_has_the_layer_and_a_frozen_backbone():
    cfg = Config.fromfile(configs_folder() / 'rba/mask2anomaly_r50_9dl_ood_coco.py')
    init_default_scope('mmseg')
    model = MODELS.build(cfg.model).train()
    layers = model.decode_head.transformer_decoder.layers
    assert len(layers) == 9 and all(isinstance(layer, GlobalMaskedAttentionLayer) for layer in layers)
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert not any(m.training for m in model.backbone.modules() if isinstance(m, torch.nn.BatchNorm2d))
