"""What every tracking run shares."""

_base_ = ['det_runtime.py']

custom_imports = dict(imports=['mmroad.tracking.models'], allow_failed_imports=False)
default_hooks = dict(
    checkpoint=dict(save_best='bdd100k/mIDF1'),
    visualization=dict(_delete_=True, type='TrackVisualizationHook', draw=False),
)
visualizer = dict(type='TrackLocalVisualizer')
