"""Named parts that turn a config's test into one of anomaly maps.

Any layout of ``mmroad.anomaly.layouts``: ``--cfg-options test_dataloader.dataset.layout=fishyscapes_laf
test_dataloader.dataset.data_root=data/fishyscapes``.
"""

anomaly_test_set = dict(
    _delete_=True,
    type='AnomalyDataset',
    layout='road_anomaly',
    data_root='data/road_anomaly/',
    test_mode=True,
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnomalyMask'), dict(type='PackSegInputs')],
)
anomaly_metric = dict(_delete_=True, type='AnomalyMetric')
anomaly_visualizer = dict(type='AnomalyVisualizer')
