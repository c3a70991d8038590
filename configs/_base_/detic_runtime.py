"""What every Detic run shares."""

_base_ = ['det_runtime.py']

custom_imports = dict(imports=['mmroad.detic', 'mmroad.bdd100k.det'], allow_failed_imports=False)
default_hooks = dict(
    setup=dict(check_classes=False),  # each has those of its vocabulary
    checkpoint=dict(_delete_=True, type='CheckpointHook', by_epoch=False, interval=10000, max_keep_ckpts=2),
    vocabulary=dict(type='VocabularyCheckHook'),
)
log_processor = dict(by_epoch=False)
