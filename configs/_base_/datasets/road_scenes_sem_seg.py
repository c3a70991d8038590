"""The synthetic road scenes (mmroad data road-scenes) in BDD100K's layout, 19 classes."""

_base_ = './bdd100k_sem_seg.py'
data_root = 'data/road_scenes/'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    _base_.load_labels,
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4, num_workers=2, dataset=dict(data_root=data_root, pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=2, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
