"""safe_faster-rcnn_r18_fpn_road_scenes tested on kinds of objects that it has not seen."""

_base_ = ['./safe_faster-rcnn_r18_fpn_road_scenes.py']
test_dataloader = dict(dataset=_base_.ood_test_dataset)
test_evaluator = _base_.ood_test_evaluator
