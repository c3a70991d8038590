"""faster-rcnn_r50_fpn_voc tested on FindMeIfYouCan's near and far sets of COCO and OpenImages."""

_base_ = ['./faster-rcnn_r50_fpn_voc.py']
test_dataloader = dict(dataset=_base_.fmiyc_test_dataset)
test_evaluator = _base_.fmiyc_test_evaluator
