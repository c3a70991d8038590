"""Drawn shapes: boxes of the base classes and image labels of all, from BoxSup-C2_R18_drawn_shapes."""

_base_ = ['BoxSup-C2_R18_drawn_shapes.py']
model = dict(roi_head=dict(image_loss='max_size', num_weak_proposals=16))
train_dataloader = dict(
    sampler=dict(ratios=[1, 1], repeat=[False, False]),
    batch_sampler=dict(batch_sizes=[8, 8]),
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[_base_.shapes_box, _base_.shapes_weak]),
)
load_from = 'work_dirs/BoxSup-C2_R18_drawn_shapes/iter_500.pth'
