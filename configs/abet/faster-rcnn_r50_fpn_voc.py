"""Faster R-CNN R50-FPN on VOC with the energy as OOD score: the baseline of AbeT's table."""
_base_ = ['./_base_/faster-rcnn_r50_fpn.py', './_base_/voc.py']
model = dict(roi_head=dict(bbox_head=dict(num_classes=20)))
