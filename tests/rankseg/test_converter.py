import torch
from torch import nn

from mmroad.converters import convert
from mmroad.mask2former.ade20k import CATEGORIES


class Model(nn.Module):
    """As much of a model as the converter looks at: a head by name, and its classes."""

    def __init__(self, head, num_classes):
        super().__init__()
        setattr(self, head, nn.Module())
        getattr(self, head).num_classes = num_classes


def published(classes):
    rows = torch.arange(classes + 1.0)
    ranked = rows[:-1].reshape(1, -1)
    return {
        'criterion.empty_weight': rows,
        'sem_seg_head.predictor.class_embed.weight': rows[:, None].repeat(1, 2),
        'sem_seg_head.predictor.query_feat.weight': rows,
        'ml_head.cls_emb': ranked[..., None].repeat(1, 1, 2),
        'ml_head.fc.W': ranked[..., None].repeat(1, 1, 2),
        'ml_head.fc.b': ranked,
        'ml_norm.weight': rows,
    }


def test_panoptic_models_have_their_own_order_of_classes():
    report = convert(published(150), 'rankseg', Model('panoptic_head', 150))
    got = {k.removeprefix('panoptic_head.'): v for k, v in report.state_dict.items()}
    assert report.dropped == ['criterion.empty_weight']
    assert got['cls_embed.weight'][:, 0].tolist() == [*CATEGORIES, 150]
    for name in ('cls_emb', 'fc.W'):
        assert got[f'rank_seg.ml_head.{name}'][0, :, 1].tolist() == list(CATEGORIES)
    assert got['rank_seg.ml_head.fc.b'][0].tolist() == list(CATEGORIES)
    for name in ('rank_seg.ml_norm.weight', 'query_feat.weight'):  # by rank, by query
        assert got[name].tolist() == list(range(151))


def test_other_models_keep_the_published_order():
    for head, classes in (('decode_head', 150), ('track_head', 40), ('panoptic_head', 133)):
        state = convert(published(classes), 'rankseg', Model(head, classes)).state_dict
        assert state[f'{head}.cls_embed.weight'][:, 0].tolist() == list(range(classes + 1))
        assert state[f'{head}.rank_seg.ml_head.fc.b'][0].tolist() == list(range(classes))
        assert all(key.startswith(f'{head}.') for key in state)
