"""Video Mask2Former's recipe: 6000 iterations of 16 clips, a tenth of the learning rate after 4000."""

_base_ = './mask2former_90k.py'
max_iters = 6000
train_cfg = dict(max_iters=max_iters, val_interval=2000)
param_scheduler = [
    dict(type='MultiStepLR', milestones=[4000], gamma=0.1, begin=0, end=max_iters, by_epoch=False)
]
