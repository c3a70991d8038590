"""What every run of panoptic segmentation shares."""

_base_ = ['ins_seg_runtime.py']
default_hooks = dict(
    setup=dict(check_classes=False), checkpoint=dict(save_best='bdd100k/PQ')
)  # heads of 10 and 30
