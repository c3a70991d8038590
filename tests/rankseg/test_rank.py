import math

import pytest
import torch
import torch.nn.functional as F

from mmroad.rankseg import RankSeg, asymmetric_loss, present_classes
from mmroad.rankseg.rank import MultiLabelHead
from mmroad.rankseg.ranking_metrics import (
    RankingMetric,
    average_precision,
    precision_at,
    ranking_scores,
    recall_at,
)

SMALL = dict(embed_dims=16, num_heads=2, feedforward_channels=32)


def rank_seg(classes=6, **kwargs) -> RankSeg:
    torch.manual_seed(0)
    module = RankSeg(classes, in_channels=8, head=SMALL, **kwargs).eval()
    for norm in [m for m in module.modules() if isinstance(m, torch.nn.LayerNorm)]:
        torch.nn.init.normal_(norm.weight, 1, 0.3)
        torch.nn.init.normal_(norm.bias, 0, 0.3)
    return module


def test_more_ranks_than_classes_are_refused():
    for top_k in (7, 0, -1):
        with pytest.raises(ValueError, match=f'top_k is {top_k}, but it ranks 6 classes'):
            RankSeg(6, in_channels=8, top_k=top_k, head=SMALL)
    with pytest.raises(ValueError, match='oracle mode ranks nothing'):
        RankSeg(6, top_k=3, oracle=True)


def test_asymmetric_loss_by_hand():
    logits = torch.tensor([[0.5, -1.0, 4.0, -9.0]], dtype=torch.double, requires_grad=True)
    targets = torch.tensor([[True, False, False, False]])
    loss = asymmetric_loss(logits, targets)
    p = [1 / (1 + math.exp(-x)) for x in (0.5, -1.0, 4.0, -9.0)]
    n = [min(1.05 - q, 1.0) for q in p]
    terms = [math.log(p[0])] + [(1 - v) ** 2 * math.log(v) for v in n[1:]]
    assert terms[3] == 0.0  # an easy negative, below the clip
    assert loss.item() == pytest.approx(-sum(terms) / 4, rel=1e-12)
    loss.backward()

    def slope(q, v):  # through the focusing factor too; dn/dx = -q (1 - q)
        return -(2 * (1 - v) * -math.log(v) + (1 - v) ** 2 / v) * -q * (1 - q) / 4

    want = [-(1 - p[0]) / 4, slope(p[1], n[1]), slope(p[2], n[2]), 0.0]
    assert logits.grad[0].tolist() == pytest.approx(want, rel=1e-10)


def test_asymmetric_loss_focuses_on_positives_too():
    logits = torch.tensor([[0.5, -1.0]], dtype=torch.double)
    targets = torch.tensor([[True, False]])
    p, n = 1 / (1 + math.exp(-0.5)), 1.05 - 1 / (1 + math.exp(1.0))
    for gamma in (0.0, 1.0, 2.0):
        want = -((1 - p) ** gamma * math.log(p) + (1 - n) ** 2 * math.log(n)) / 2
        assert asymmetric_loss(logits, targets, gamma_pos=gamma).item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize('sign, present', [(-1, True), (1, False)])
def test_asymmetric_loss_stays_finite_where_a_class_is_surely_wrong(sign, present):
    """A present class whose probability underflows costs -log 1e-5; an absent sure one -log .05 (the clip)."""
    logits = torch.full((1, 2), 200.0 * sign, requires_grad=True)
    loss = asymmetric_loss(logits, torch.full((1, 2), present))
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(1e-5) if present else -(0.95**2) * math.log(0.05), rel=1e-5)
    assert logits.grad.isfinite().all()


@torch.no_grad()
def test_the_head_is_a_transformer_layer_over_tokens_and_classes():
    head = MultiLabelHead(5, in_channels=8, embed_dims=16, num_heads=2, feedforward_channels=32).eval()
    for norm in (head.norm, head.block.norm1, head.block.norm2):
        torch.nn.init.normal_(norm.weight, 1, 0.3)
        torch.nn.init.normal_(norm.bias, 0, 0.3)
    layer = torch.nn.TransformerEncoderLayer(16, 2, 32, 0.0, 'gelu', batch_first=True, norm_first=True).eval()
    own = head.block
    own = dict(norm1=own.norm1, norm2=own.norm2, linear1=own.mlp.fc1, linear2=own.mlp.fc2, in_=own.attn.qkv,
               out=own.attn.proj)  # fmt: skip
    names = {'in_.': 'self_attn.in_proj_', 'out.': 'self_attn.out_proj.'}
    state = {f'{names.get(name + ".", name + ".")}{key}': value for name, part in own.items()
             for key, value in part.state_dict().items()}  # fmt: skip
    layer.load_state_dict(state)
    tokens = torch.randn(2, 9, 8)
    x = torch.cat([head.proj_dec(tokens), head.cls_emb.expand(2, -1, -1)], 1)
    x = head.norm(layer(x)[:, -5:])
    want = torch.einsum('ncd,cd->nc', x, head.fc.W[0]) + head.fc.b
    torch.testing.assert_close(head(tokens), want, atol=1e-5, rtol=1e-5)
    plain = MultiLabelHead(3, in_channels=8, embed_dims=128)
    assert (plain.block.attn.num_heads, plain.block.mlp.fc1.out_features) == (2, 512)
    assert plain.block.attn.dropout == plain.block.mlp.drop.p == plain.block.attn.proj_drop.p == 0.1


@pytest.mark.parametrize('top_k', [6, 4])
def test_scattering_to_classes_is_the_same_as_training_on_ranks(top_k):
    module = rank_seg(top_k=top_k)
    torch.manual_seed(1)
    logits = torch.randn(2, 5, 7)
    index = module.rank(torch.randn(2, 6))
    labels = torch.stack([torch.cat([row[:4], torch.tensor([6])]) for row in index])
    # as published: labels become ranks, the last rank is "no object"
    slots = F.pad(index, (0, 1), value=6)
    ranks = torch.stack([(row[None] == label[:, None]).int().argmax(1) for row, label in zip(slots, labels)])
    by_rank, by_class = (logits.clone().requires_grad_() for _ in range(2))
    weights = torch.tensor([1.0] * top_k + [0.1])
    gathered = F.cross_entropy(module.ranked(by_rank, index).flatten(0, 1), ranks.flatten(), weights)
    grads = torch.autograd.grad(gathered, [by_rank, *module.ml_norm.parameters()])
    weights = torch.tensor([1.0] * 6 + [0.1])
    scattered = F.cross_entropy(module.rerank(by_class, index).flatten(0, 1), labels.flatten(), weights)
    torch.testing.assert_close(scattered, gathered)
    for got, want in zip(torch.autograd.grad(scattered, [by_class, *module.ml_norm.parameters()]), grads):
        torch.testing.assert_close(got, want)
    # and so are the probabilities that matching and prediction see
    probs = module.rerank(logits, index).softmax(-1).gather(2, slots[:, None].expand(-1, 5, -1))
    torch.testing.assert_close(probs, module.ranked(logits, index).softmax(-1))


def test_temperatures_belong_to_ranks():
    module = rank_seg(top_k=3, classes=4)
    logits, index = torch.randn(1, 2, 5), torch.tensor([[2, 0, 3]])
    out = module.rerank(logits, index)
    assert (out[..., 1] == -100).all() and module.selected(index).tolist() == [[True, False, True, True]]
    kept = logits[..., [2, 0, 3, 4]]
    norm = (kept - kept.mean(-1, keepdim=True)) / (kept.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    want = norm * module.ml_norm.weight + module.ml_norm.bias
    torch.testing.assert_close(out[..., [2, 0, 3, 4]], want)
    pixels = RankSeg(4, in_channels=8, top_k=3, no_object=False, head=SMALL)
    assert pixels.ml_norm.weight.shape == (3,)
    assert pixels.rerank(logits[..., :4], index).shape == (1, 2, 4)


def test_ranking_is_by_score_and_of_each_image():
    module = rank_seg(top_k=3)
    index = module.rank(torch.tensor([[0.1, 3, -1, 3, 2, 0], [5, 4, 3, 2, 1, 0.0]]))
    assert index.tolist() == [[1, 3, 4], [0, 1, 2]]
    tokens = torch.randn(2, 9, 8)
    both = module(tokens)
    torch.testing.assert_close(both, torch.cat([module(t[None]) for t in tokens]), atol=1e-6, rtol=1e-5)
    assert both.shape == (2, 6)


def test_oracle_rules_out_what_the_image_lacks():
    module = RankSeg(4, oracle=True)
    assert not list(module.parameters())
    present = present_classes([torch.tensor([0, 3]), torch.tensor([], dtype=torch.long)], 4)
    out = module.rule_out(torch.zeros(2, 1, 5), present)
    assert out[:, 0].tolist() == [[0, -100, -100, 0, 0], [-100, -100, -100, -100, 0]]


def test_ranking_metrics_by_hand():
    ranking = torch.tensor([[2, 0, 1, 3], [3, 2, 1, 0]])
    present = torch.tensor([[True, False, True, False], [True, True, False, False]])
    assert recall_at(ranking, present, 2).tolist() == [1.0, 0.0]
    assert precision_at(ranking, present, 3).tolist() == pytest.approx([2 / 3, 1 / 3])
    assert average_precision(ranking, present).tolist() == pytest.approx([1.0, (1 / 3 + 2 / 4) / 2])
    assert average_precision(ranking[:, :3], present).tolist() == pytest.approx([1.0, 1 / 6])
    metric = RankingMetric(top_k=(2,))
    metric.dataset_meta = dict(classes='abcd')
    empty = dict(ranking=ranking[0], gt_sem_seg=dict(data=torch.full((1, 2, 2), 255)))
    seg = dict(ranking=ranking[1], gt_sem_seg=dict(data=torch.tensor([[[0, 1, 255]]])))
    metric.process({}, [dict(ranking=ranking[0], gt_classes=[0, 2]), seg, empty])
    assert metric.evaluate(3) == pytest.approx(
        {'ranking/AP': 70.8333333, 'ranking/recall@2': 50.0, 'ranking/precision@2': 50.0}
    )
    with pytest.raises(ValueError, match='has no ranking'):
        metric.process({}, [dict(img_path='a.jpg')])


def test_what_a_model_has_by_default():
    module = RankSeg(4, head=dict(embed_dims=64))
    assert (module.top_k, module.no_object, module.oracle, module.loss_weight) == (4, True, False, 10)
    assert module.ml_head.proj_dec.in_features == 256 and module.ml_norm.weight.shape == (5,)
    assert module.ml_head.block.attn.num_heads == 1 and module.ml_head.block.mlp.fc1.out_features == 256
    assert MultiLabelHead(4, 8, embed_dims=32).block.attn.num_heads == 1
    logits, present = torch.tensor([[1.0, -2.0, 0.5, 0.0]]), torch.tensor([[True, False, False, True]])
    assert module.loss(logits, present) == 10 * asymmetric_loss(logits, present)
    assert RankSeg(4, head=SMALL, loss_weight=2.0).loss(logits, present) == 2 * asymmetric_loss(
        logits, present
    )
    assert [RankSeg(4, head=SMALL, top_k=k).top_k for k in (1, 4)] == [1, 4]
    assert RankingMetric().top_k == [5, 10, 20]


def test_weights_begin_small():
    torch.manual_seed(0)
    head = MultiLabelHead(50, 8, embed_dims=64)
    for weight in (head.fc.W, head.fc.b):
        assert -1 / 8 <= weight.min() < -0.11 and 0.11 < weight.max() <= 1 / 8
    assert 0.018 < head.cls_emb.std() < 0.022 and head.cls_emb.shape == (1, 50, 64)


def test_nothing_is_dropped_in_a_test():
    head = MultiLabelHead(5, in_channels=8, embed_dims=16, num_heads=2, dropout=0.5)
    tokens = torch.randn(2, 9, 8)
    torch.manual_seed(0)
    first, second = head(tokens), head(tokens)
    assert not torch.equal(first, second)
    head.eval()
    assert torch.equal(head(tokens), head(tokens))


def test_a_ranking_of_pixels_has_no_slot_for_nothing():
    module = RankSeg(3, oracle=True)
    assert module.rule_out(torch.zeros(1, 1, 3), torch.tensor([[True, False, True]])).tolist() == [
        [[0, -100, 0]]
    ]


def test_ks_beyond_the_classes_are_all_classes():
    found = ranking_scores(torch.tensor([1, 0, 2]), torch.tensor([True, False, True]), (1, 3, 20))
    assert found == pytest.approx(
        {'AP': (1 / 2 + 2 / 3) / 2, 'recall@1': 0, 'precision@1': 0, 'recall@3': 1, 'precision@3': 2 / 3,
         'recall@20': 1, 'precision@20': 2 / 3}
    )  # fmt: skip
    with pytest.raises(ValueError, match='no image has a class'):
        RankingMetric().compute_metrics([])
