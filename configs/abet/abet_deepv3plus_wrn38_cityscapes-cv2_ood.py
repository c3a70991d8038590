"""abet_deepv3plus_wrn38_cityscapes-cv2 tested on outliers, Road Anomaly by default."""

_base_ = ['./abet_deepv3plus_wrn38_cityscapes-cv2.py', '../_base_/datasets/anomaly.py']
test_dataloader = dict(dataset=_base_.anomaly_test_set)
test_evaluator = _base_.anomaly_metric
visualizer = _base_.anomaly_visualizer
