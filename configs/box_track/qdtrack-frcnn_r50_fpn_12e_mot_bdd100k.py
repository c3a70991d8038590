"""QDTrack, Faster R-CNN ResNet-50 FPN, 12 epochs of BDD100K's videos and images."""

_base_ = [
    '../_base_/models/qdtrack.py',
    '../_base_/datasets/bdd100k_track.py',
    '../_base_/schedules/track_12e.py',
    '../_base_/track_runtime.py',
]
