"""Mask2Former for video (https://arxiv.org/abs/2112.10764): the image model's parts with a head for clips.

``model`` has a ResNet-101 with frozen norms and gives instance tracks of whole videos; ``semantic`` gives classes
of clips of 20 frames. ``coco_`` backbones are `mask2former_sem_seg`'s without their own initialization: training starts
from COCO instance checkpoints.
"""

_base_ = './mask2former_sem_seg.py'
_preprocessor = dict(
    type='TrackDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_mask=True,
    pad_size_divisor=32,
)
model = dict(
    _delete_=True,
    type='VideoMask2Former',
    task='instance',
    data_preprocessor=_preprocessor,
    backbone=dict(
        type='ResNet',
        depth=101,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
    ),
    track_head=dict(
        _base_.model.decode_head,
        type='VideoMask2FormerHead',
        num_frames=2,
        positional_encoding=dict(type='SinePositionalEncoding3D', num_feats=128, normalize=True),
    ),
)
semantic = dict(task='semantic', clip_length=20)
coco_swin_b = dict(_base_.swin_b, init_cfg=None)
coco_swin_l = dict(_base_.swin_l, init_cfg=None)
