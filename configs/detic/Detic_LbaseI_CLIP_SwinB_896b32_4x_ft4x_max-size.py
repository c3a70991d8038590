"""LVIS without rare classes and ImageNet-LVIS image labels, Swin-B."""

_base_ = ['./Detic_LI_CLIP_SwinB_896b32_4x_ft4x_max-size.py']
_datasets = [
    dict(_base_.lvis_norare, pipeline=_base_.box_896),
    dict(_base_.imagenet_lvis, pipeline=_base_.weak_448),
]
train_dataloader = dict(dataset=dict(datasets=_datasets))
val_evaluator = _base_.lvis_novel
test_evaluator = val_evaluator
load_from = 'data/detic/BoxSup-C2_Lbase_CLIP_SwinB_896b32_4x.pth'
