"""LVIS and ImageNet-21k image labels, Swin-B."""

_base_ = ['./Detic_LCOCOI21k_CLIP_SwinB_896b32_4x_ft4x_max-size.py']
_datasets = [
    dict(_base_.lvis, pipeline=_base_.box_896),
    dict(_base_.imagenet_21k, pipeline=_base_.weak_448),
]
train_dataloader = dict(dataset=dict(datasets=_datasets))
load_from = 'data/detic/BoxSup-C2_L_CLIP_SwinB_896b32_4x.pth'
