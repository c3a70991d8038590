"""Faster R-CNN R50-FPN on VOC with the energy as OOD score: the baseline of AbeT's table."""

_base_ = [
    '../_base_/models/abet_faster_rcnn.py',
    '../_base_/datasets/abet_voc.py',
    '../_base_/schedules/abet_det_18k.py',
]
custom_imports = dict(imports=['mmroad.abet.det', 'mmroad.anomaly.det_metric'], allow_failed_imports=False)
model = dict(roi_head=dict(bbox_head=dict(num_classes=20)))
