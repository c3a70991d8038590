"""LVIS without rare classes and image labels on the best-scored region, ResNet-50."""

_base_ = './Detic_LbaseI_CLIP_R5021k_640b64_4x_ft4x_max-size.py'
model = dict(roi_head=dict(image_loss='max_score'))
