"""AbeT on BDD100K, its second stage."""

_base_ = ['./deepv3plus_wrn38_bdd100k.py']
model = _base_.abet
custom_hooks = [
    dict(_base_.snapshot_transfer, checkpoint='weights/abet_deepv3plus_wrn38_mapillary.pth'),
    *_base_.stage_hooks,
]
