"""DeepLabV3+ WideResNet38 on Mapillary Vistas, the baseline's first stage."""
_base_ = ['./_base_/deepv3plus_wrn38.py', './_base_/stage1_mapillary.py']
model = _base_.stage
