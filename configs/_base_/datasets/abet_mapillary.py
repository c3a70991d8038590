"""Mapillary Vistas 1.1, 65 classes, whole test images, class-uniform half of every epoch."""

_base_ = ['./mapillary.py', './abet_augmentation.py']
changes = dict(LoadLabelMap=_base_.load_labels, CentroidCrop=dict(seg_pad_val=65))
train_pipeline = [dict(t, **changes.get(t['type'], {})) for t in _base_.abet_pipeline]
test_pipeline = [dict(type='LoadImageFromFile'), _base_.load_labels, dict(type='PackSegInputs')]
train_dataloader = dict(
    _base_.class_uniform_loader,
    dataset=dict(
        type='ClassUniformDataset',
        cache_file='data/mapillary/centroids_training_1024.npz',
        tile=1024,
        dataset=dict(_base_.train_dataloader.dataset, type='Mapillary65Dataset', pipeline=train_pipeline),
    ),
)
val_dataloader = dict(dataset=dict(type='Mapillary65Dataset', pipeline=test_pipeline))
test_dataloader = val_dataloader
