"""EAM's Mask2Former on Mapillary and Cityscapes, in batches of 12; the published weights are of iteration 115,000."""

_base_ = './eam_swin_l_9dl_cityscapes.py'
load, load_labels, *augmentation = _base_.train_pipeline
load_mapillary = dict(type='LoadMapillaryAsCityscapes', wide=True)
mapillary = dict(
    type='MapillaryCityscapesDataset',
    data_root='data/mapillary/',
    data_prefix=dict(img_path='training/images', seg_map_path='training/v1.2/labels'),
    pipeline=[load, load_mapillary, *augmentation],
)
cityscapes = _base_.train_dataloader.dataset
train_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[mapillary, cityscapes]))
max_iters = 150000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
auto_scale_lr = dict(base_batch_size=12)
