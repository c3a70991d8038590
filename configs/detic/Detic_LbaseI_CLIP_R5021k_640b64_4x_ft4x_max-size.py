"""LVIS without rare classes and ImageNet-LVIS image labels, ResNet-50."""

_base_ = ['./Detic_LI_CLIP_R5021k_640b64_4x_ft4x_max-size.py']
_datasets = [
    dict(_base_.lvis_norare, pipeline=_base_.box_640),
    dict(_base_.imagenet_lvis, pipeline=_base_.weak_320),
]
train_dataloader = dict(dataset=dict(datasets=_datasets))
val_evaluator = _base_.lvis_novel
test_evaluator = val_evaluator
load_from = 'data/detic/BoxSup-C2_Lbase_CLIP_R5021k_640b64_4x.pth'
