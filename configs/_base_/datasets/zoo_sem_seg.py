"""BDD100K semantic segmentation by the model zoo's recipe: crops of 512x1024 or, as named values, of 769x769."""

_base_ = ['bdd100k_sem_seg.py']


def _train(scale, crop):
    return [
        dict(type='LoadImageFromFile'),
        _base_.load_labels,
        dict(type='RandomResize', scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
        dict(type='RandomCrop', crop_size=crop, cat_max_ratio=0.75),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackSegInputs'),
    ]


classes = dict(num_classes=19)
train_pipeline = _train((1280, 720), (512, 1024))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
# Crops of 769x769: what a model and its data change; labels are loaded after the resize and keep their size
train_pipeline_769 = _train((1281, 721), (769, 769))
test_pipeline_769 = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1281, 721), keep_ratio=True),
    _base_.load_labels,
    dict(type='PackSegInputs'),
]
train_769 = dict(dataset=dict(pipeline=train_pipeline_769))
test_769 = dict(dataset=dict(pipeline=test_pipeline_769))
slide_769 = dict(
    data_preprocessor=dict(size=(769, 769)),
    test_cfg=dict(mode='slide', crop_size=(769, 769), stride=(513, 513)),
)
corners = dict(align_corners=True)
