"""safe_faster-rcnn_r50_fpn_voc tested on VOS' own sets of COCO and OpenImages."""

_base_ = ['./safe_faster-rcnn_r50_fpn_voc.py']
test_dataloader = dict(dataset=_base_.vos_test_dataset)
test_evaluator = _base_.vos_test_evaluator
