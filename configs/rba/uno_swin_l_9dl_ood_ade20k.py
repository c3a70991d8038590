"""UNO, Swin-L: an outlier class beside the 19, trained on pasted pixels of ADE20K."""

_base_ = './eam_swin_l_9dl_ood_ade20k.py'
model = dict(
    anomaly_score='uno',
    decode_head=dict(outlier_class=True, loss_cls=dict(class_weight=[1.0] * 20 + [0.1])),
)
paste = dict(_base_.paste, sides=(96, 500))
_sets = [
    dict(d, pipeline=[*d.pipeline[:2], paste, *d.pipeline[3:]])
    for d in _base_.train_dataloader.dataset.datasets
]
train_dataloader = dict(dataset=dict(datasets=_sets))
