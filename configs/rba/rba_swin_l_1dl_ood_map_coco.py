"""RbA Swin-L fine-tuned on Mapillary and Cityscapes with COCO outliers (upstream: swin_l_1dl_rba_ood_map_coco)."""

_base_ = './rba_swin_b_1dl_ood_map_coco.py'
model = dict(backbone=_base_.swin_l, decode_head=dict(in_channels=_base_.swin_l_channels))
max_iters = 90000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
optim_wrapper = dict(optimizer=dict(lr=1e-5))
load_from = 'checkpoints/rba_swin_l_1dl_cityscapes.pth'
