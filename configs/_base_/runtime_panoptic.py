"""What every panoptic run shares."""

_base_ = './runtime_sem_seg.py'
default_scope = 'mmdet'
visualizer = dict(type='DetLocalVisualizer')
default_hooks = dict(
    checkpoint=dict(save_best='panoptic/PQ', rule='greater'), visualization=dict(type='DetVisualizationHook')
)
