"""The small model with RankSeg, trained the same way."""

_base_ = './mask2former_small_road_scenes.py'
model = dict(
    resize_masks=True,
    decode_head=dict(
        type='RankSegSemSegHead',
        rank_layer=1,
        rank_seg=dict(top_k=19, head=dict(embed_dims=128, num_heads=4, feedforward_channels=512)),
    ),
)
val_evaluator = [_base_.val_evaluator, dict(type='RankingMetric', top_k=(5, 10))]
test_evaluator = val_evaluator
