"""AbeT on Mapillary Vistas, its first stage."""

_base_ = ['./deepv3plus_wrn38_mapillary.py']
model = _base_.abet
