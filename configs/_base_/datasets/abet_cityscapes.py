"""Cityscapes' standard split, class-uniform half of every epoch."""

_base_ = ['./cityscapes.py', './abet_augmentation.py']
train_dataloader = dict(
    _base_.class_uniform_loader,
    dataset=dict(
        type='ClassUniformDataset',
        cache_file='data/cityscapes/centroids_train_1024.npz',
        tile=1024,
        dataset=dict(_base_.train_dataloader.dataset, pipeline=_base_.abet_pipeline),
    ),
)
