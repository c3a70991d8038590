"""Boxes of LVIS without rare classes, CenterNet2 Swin-B."""

_base_ = ['./BoxSup-C2_L_CLIP_SwinB_896b32_4x.py']
train_dataloader = dict(dataset=_base_.lvis_norare)
val_evaluator = _base_.lvis_novel
test_evaluator = val_evaluator
