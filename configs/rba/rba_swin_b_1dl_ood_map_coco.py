"""RbA Swin-B fine-tuned on Mapillary and Cityscapes with COCO outliers (upstream: swin_b_1dl_rba_ood_map_coco)."""

_base_ = './rba_swin_b_1dl_ood_coco.py'
paste = dict(prob=0.5, num_objects=50000)
augmentation = [
    dict(type='RandomChoiceResize', scales=[1024, 1228], resize_type='ResizeShortestEdge', max_size=8192),
    *_base_.train_pipeline[4:],
]
load, paste = dict(type='LoadImageFromFile'), dict(_base_.paste, **paste)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='MapillaryCityscapesDataset',
                data_root='data/mapillary/',
                data_prefix=dict(img_path='training/images', seg_map_path='training/v1.2/labels'),
                pipeline=[load, dict(type='LoadMapillaryAsCityscapes'), paste, *augmentation],
            ),
            dict(
                type='CityscapesDataset',
                data_root=_base_.data_root,
                data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
                pipeline=[load, _base_.load_labels, paste, *augmentation],
            ),
        ],
    )
)
max_iters = 30000
train_cfg = dict(max_iters=max_iters, val_interval=5000)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
