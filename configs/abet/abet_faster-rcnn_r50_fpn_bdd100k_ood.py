"""abet_faster-rcnn_r50_fpn_bdd100k tested on BDD100K against COCO and OpenImages, by both protocols."""

_base_ = ['./abet_faster-rcnn_r50_fpn_bdd100k.py']
test_dataloader = dict(dataset=_base_.ood_test_dataset)
test_evaluator = _base_.ood_test_evaluator
