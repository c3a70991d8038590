"""The published augmentation at the published crop; ``ClassUniformDataset`` gives the crop its centroid."""
abet_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabelMap', num_classes=19),
    dict(type='RandomRescale', ratio_range=(0.5, 2.0)),
    dict(type='CentroidCrop', size=(896, 896)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomColorJitter', brightness=0.25, contrast=0.25, saturation=0.25, hue=0.25),
    dict(type='RandomGaussianBlur', sigma=(0.15, 1.30)),
    dict(type='PackSegInputs')
]
