"""DenseHybrid on the Swin-B mask classifier, COCO outliers."""

_base_ = './rba_swin_b_1dl_ood_coco.py'
model = dict(
    anomaly_score='dense_hybrid',
    trainable=['cls_embed', 'mask_embed', 'ood_head'],
    decode_head=dict(
        ood_head=True, pixel_losses=dict(_delete_=True, densehybrid=dict(type='DenseHybridLoss'))
    ),
)
max_iters = 5000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
