"""UNO head on the Swin-B mask classifier: an outlier class beside the inliers, COCO outliers."""

_base_ = './rba_swin_b_1dl_ood_coco.py'
model = dict(
    anomaly_score='uno',
    trainable=['transformer_decoder', 'query', 'level_embed', 'cls_embed', 'mask_embed'],
    decode_head=dict(
        outlier_class=True, pixel_losses=dict(_delete_=True), loss_cls=dict(class_weight=[1.0] * 20 + [0.1])
    ),
)
