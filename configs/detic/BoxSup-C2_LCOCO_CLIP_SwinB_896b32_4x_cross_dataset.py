"""Tested on Objects365 and OpenImages, each with its own vocabulary, in one run."""

_base_ = ['BoxSup-C2_LCOCO_CLIP_SwinB_896b32_4x.py', '../_base_/datasets/detic_cross.py']
model = dict(vocabularies=_base_.cross_vocabularies, test_cfg=dict(rcnn=dict(masks=False)))
test_dataloader = _base_.cross_dataloader
test_evaluator = _base_.cross_evaluator
