"""EAM's Mask2Former, Swin-L, all nine decoder layers, Cityscapes; images are tested with a short side of 1024."""

_base_ = './rba_swin_b_9dl_cityscapes.py'
model = dict(
    anomaly_score='eam',
    resize_masks=True,
    backbone=_base_.swin_l,
    decode_head=dict(in_channels=_base_.swin_l_channels),
)
resize = dict(type='ResizeShortestEdge', scale=1024, max_size=2048)
test_pipeline = [_base_.test_pipeline[0], resize, *_base_.test_pipeline[1:]]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
