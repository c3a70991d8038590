"""Faster R-CNN R50-FPN on BDD100K with the energy as OOD score: AbeT's baseline."""
_base_ = ['./_base_/faster-rcnn_r50_fpn.py', './_base_/bdd100k_det.py']
custom_imports = dict(imports=['mmroad.bdd100k.det', 'mmroad.abet.det', 'mmroad.anomaly.det_metric'], allow_failed_imports=False)
