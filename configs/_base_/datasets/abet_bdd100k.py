"""BDD100K's semantic segmentation with the published augmentation; crop and tile fit its 720x1280 images."""

_base_ = ['./bdd100k_sem_seg.py', './abet_augmentation.py']
train_pipeline = [
    dict(t, size=(720, 720)) if t['type'] == 'CentroidCrop' else t for t in _base_.abet_pipeline
]
train_dataloader = dict(
    _base_.class_uniform_loader,
    dataset=dict(
        type='ClassUniformDataset',
        cache_file='data/bdd100k/centroids_train_720.npz',
        tile=720,
        dataset=dict(_base_.train_dataloader.dataset, pipeline=train_pipeline),
    ),
)
