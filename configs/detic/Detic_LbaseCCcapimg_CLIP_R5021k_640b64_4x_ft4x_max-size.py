"""LVIS without rare classes, CC3M captions and their tags, ResNet-50."""

_base_ = ['./Detic_LbaseI_CLIP_R5021k_640b64_4x_ft4x_max-size.py']
model = dict(sync_captions=True, roi_head=dict(image_box=True, neg_caption_weight=0.125))
_datasets = [
    dict(_base_.lvis_norare, pipeline=_base_.box_640),
    dict(_base_.cc3m_caption, pipeline=_base_.weak_320_caption),
]
train_dataloader = dict(dataset=dict(datasets=_datasets))
