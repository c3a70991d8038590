"""Cityscapes' split cv 2 (validation: Moenchengladbach, Strasbourg, Stuttgart) and coarse labels of rare classes."""

_base_ = ['./abet_cityscapes.py']
train_dataloader = dict(
    dataset=dict(
        cache_file='data/cityscapes/centroids_cv2_1024.npz',
        dataset=dict(
            _delete_=True,
            type='CityscapesCitySplit',
            part='train',
            data_root='data/cityscapes/',
            pipeline=_base_.abet_pipeline,
        ),
        boost=dict(
            type='CityscapesDataset',
            data_root='data/cityscapes/',
            data_prefix=dict(img_path='leftImg8bit/train_extra', seg_map_path='gtCoarse/train_extra'),
            seg_map_suffix='_gtCoarse_labelTrainIds.png',
            pipeline=_base_.abet_pipeline,
        ),
        boost_classes=(14, 15, 16, 3, 12, 17, 4),
        boost_cache_file='data/cityscapes/centroids_coarse_1024.npz',
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CityscapesCitySplit',
        part='val',
        data_root='data/cityscapes/',
        test_mode=True,
        pipeline=_base_.test_pipeline,
    )
)
test_dataloader = val_dataloader
