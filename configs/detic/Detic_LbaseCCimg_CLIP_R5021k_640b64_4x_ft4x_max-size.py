"""LVIS without rare classes and tags of CC3M captions, ResNet-50."""

_base_ = ['./Detic_LbaseI_CLIP_R5021k_640b64_4x_ft4x_max-size.py']
_datasets = [
    dict(_base_.lvis_norare, pipeline=_base_.box_640),
    dict(_base_.cc3m, pipeline=_base_.weak_320),
]
train_dataloader = dict(dataset=dict(datasets=_datasets))
