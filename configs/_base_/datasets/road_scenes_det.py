"""The synthetic road scenes (mmroad data road-scenes), detection."""

_base_ = ['bdd100k_det.py']

data_root = 'data/road_scenes/'
image_size = (320, 192)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=image_size, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='FastPackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_size, keep_ratio=True),
    dict(type='FastPackDetInputs'),
]
train_dataloader = dict(
    num_workers=1, dataset=dict(data_root=data_root, image_size=None, pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
