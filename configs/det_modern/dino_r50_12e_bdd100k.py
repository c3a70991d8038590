"""DINO, ResNet-50, 12 epochs."""

_base_ = ['_base_/dino.py']
