"""What every run of instance segmentation shares."""

_base_ = ['det_runtime.py']
custom_imports = dict(imports=['mmroad.bdd100k.det', 'mmroad.bdd100k.instances'], allow_failed_imports=False)
