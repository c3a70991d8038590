"""BDD100K detection, training scales from 600 to 720 rows (3x and 5x)."""

_base_ = ['bdd100k_det.py']

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='RandomChoiceResize',
        scales=[(1280, rows) for rows in (600, 624, 648, 672, 696, 720)],
        keep_ratio=True,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='FastPackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
