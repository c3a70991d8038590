"""The published augmentation at the published crop, and the loader that gives the crop its centroid."""

abet_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabelMap', num_classes=19),
    dict(type='RandomRescale', ratio_range=(0.5, 2.0)),
    dict(type='CentroidCrop', size=(896, 896)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomColorJitter', brightness=0.25, contrast=0.25, saturation=0.25, hue=0.25),
    dict(type='RandomGaussianBlur', sigma=(0.15, 1.30)),
    dict(type='PackSegInputs'),
]
#: Half of every epoch is class-uniform; a data set adds ``dataset``, a ``ClassUniformDataset``.
class_uniform_loader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='ClassUniformSampler', fraction=0.5, last_epoch=150),
)
