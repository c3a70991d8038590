"""Tested on Objects365 and OpenImages, each with its own vocabulary, in one run."""

_base_ = ['Detic_LI_CLIP_SwinB_896b32_4x_ft4x_max-size.py', '../_base_/datasets/detic_cross.py']
model = dict(vocabularies=_base_.cross_vocabularies, test_cfg=dict(rcnn=dict(masks=False)))
test_dataloader = _base_.cross_dataloader
test_evaluator = _base_.cross_evaluator
