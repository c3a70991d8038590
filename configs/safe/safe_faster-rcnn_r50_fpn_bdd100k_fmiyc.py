"""safe_faster-rcnn_r50_fpn_bdd100k tested on FindMeIfYouCan's farther sets of COCO and OpenImages."""

_base_ = ['./safe_faster-rcnn_r50_fpn_bdd100k.py']
test_dataloader = dict(dataset=_base_.fmiyc_test_dataset)
test_evaluator = _base_.fmiyc_test_evaluator
