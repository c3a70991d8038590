"""UNO, Swin-L: an outlier class beside the 19, trained on pasted pixels of ADE20K."""

_base_ = './eam_swin_l_9dl_ood_ade20k.py'
model = dict(
    anomaly_score='uno',
    decode_head=dict(outlier_class=True, loss_cls=dict(class_weight=[1.0] * 20 + [0.1])),
)
paste = dict(_base_.paste, sides=(96, 500))
mapillary_pipeline = [_base_.load, _base_.load_mapillary, paste, *_base_.augmentation]
cityscapes_pipeline = [_base_.load, _base_.load_labels, paste, *_base_.augmentation]
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(_base_.mapillary, pipeline=mapillary_pipeline),
            dict(_base_.cityscapes, pipeline=cityscapes_pipeline),
        ]
    )
)
