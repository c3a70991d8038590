"""What every run of the model zoo's semantic segmentation and drivable area shares."""

_base_ = ['runtime_sem_seg.py']
custom_imports = dict(imports=['mmroad.bdd100k.sem_seg'], allow_failed_imports=False)
env_cfg = dict(cudnn_benchmark=True)
