"""deepv3plus_r18_road_scenes tested on outliers."""

_base_ = ['./deepv3plus_r18_road_scenes.py', '../_base_/datasets/anomaly.py']
test_dataloader = dict(
    dataset=dict(_base_.anomaly_test_set, layout='masks', data_root='data/road_scenes/ood/val')
)
test_evaluator = _base_.anomaly_metric
visualizer = _base_.anomaly_visualizer
