"""Mapillary Vistas 1.1, 65 classes, class-uniform half of every epoch."""
_base_ = ['./augmentation.py']
load_labels = dict(type='LoadLabelMap', num_classes=65, ignored=(65, 255))
changes = dict(LoadLabelMap=load_labels, CentroidCrop=dict(seg_pad_val=65))
train_pipeline = [dict(t, **changes.get(t['type'], {})) for t in _base_.abet_pipeline]
test_pipeline = [dict(type='LoadImageFromFile'), load_labels, dict(type='PackSegInputs')]
data_root = 'data/mapillary/'
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='ClassUniformSampler', fraction=0.5, last_epoch=150),
    dataset=dict(
        type='ClassUniformDataset',
        cache_file=data_root + 'centroids_training_1024.npz',
        tile=1024,
        dataset=dict(
            type='Mapillary65Dataset',
            data_root=data_root,
            data_prefix=dict(img_path='training/images', seg_map_path='training/v1.2/labels'),
            pipeline=train_pipeline)))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='Mapillary65Dataset',
        data_root=data_root,
        data_prefix=dict(img_path='validation/images', seg_map_path='validation/v1.2/labels'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'], ignore_index=65)
test_evaluator = val_evaluator
