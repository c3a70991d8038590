"""Faster R-CNN R50-FPN on BDD100K with the energy as OOD score: AbeT's baseline."""

_base_ = [
    '../_base_/models/abet_faster_rcnn.py',
    '../_base_/datasets/abet_bdd100k_det.py',
    '../_base_/schedules/abet_det_90k.py',
]
custom_imports = dict(
    imports=['mmroad.bdd100k.det', 'mmroad.abet.det', 'mmroad.anomaly.det_metric'], allow_failed_imports=False
)
