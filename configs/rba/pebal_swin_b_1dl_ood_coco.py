"""PEBAL on the Swin-B mask classifier: gambler loss, energy hinge, smoothness and sparsity, COCO outliers."""

_base_ = './rba_swin_b_1dl_ood_coco.py'
model = dict(
    anomaly_score='energy',
    trainable=['transformer_decoder', 'query', 'level_embed', 'cls_embed', 'mask_embed'],
    decode_head=dict(
        mask_losses=False,
        pixel_losses=dict(
            gambler=dict(type='GamblerLoss'),
            outlier=dict(type='OutlierLoss', target='energy'),
            smoothness=dict(type='SmoothnessLoss'),
            sparsity=dict(type='SparsityLoss'),
        ),
    ),
)
max_iters = 5000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
