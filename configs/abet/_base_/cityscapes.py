"""Cityscapes' standard split, class-uniform half of every epoch."""
_base_ = ['../../_base_/datasets/cityscapes.py', './augmentation.py']
train_dataloader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='ClassUniformSampler', fraction=0.5, last_epoch=150),
    dataset=dict(
        type='ClassUniformDataset',
        cache_file='data/cityscapes/centroids_train_1024.npz',
        tile=1024,
        dataset=dict(
            type='CityscapesDataset',
            data_root='data/cityscapes/',
            data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
            pipeline=_base_.abet_pipeline)))
