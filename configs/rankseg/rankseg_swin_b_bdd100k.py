"""RankSeg on Mask2Former, Swin-B, BDD100K semantic segmentation, in and out in BDD100K's formats."""

_base_ = [
    '../_base_/models/mask2former_sem_seg.py',
    '../_base_/datasets/bdd100k_sem_seg.py',
    '../_base_/schedules/mask2former_90k.py',
    '../_base_/runtime_sem_seg.py',
]
custom_imports = dict(imports=['mmroad.rankseg'], allow_failed_imports=False)
model = dict(
    type='Mask2FormerSegmentor',
    resize_masks=True,
    backbone=_base_.swin_b,
    decode_head=dict(type='RankSegSemSegHead', in_channels=_base_.swin_b_channels, rank_seg=dict(top_k=19)),
)
optim_wrapper = dict(paramwise_cfg=dict(ml_head_lr_mult=0.1))
val_evaluator = [_base_.val_evaluator, dict(type='RankingMetric', top_k=(5, 10))]
test_evaluator = val_evaluator
