"""Zero-shot BDD100K: the ten classes from class embeddings, boxes only."""

_base_ = ['Detic_LCOCOI21k_CLIP_R18_640b32_4x_ft4x_max-size.py', '../_base_/datasets/detic_bdd100k.py']
model = dict(
    vocabularies=dict(bdd100k=_base_.bdd100k_vocabulary),
    vocabulary='bdd100k',
    test_cfg=dict(rcnn=dict(masks=False)),
)
val_dataloader = _base_.bdd100k_dataloader
test_dataloader = val_dataloader
val_evaluator = _base_.bdd100k_evaluator
test_evaluator = val_evaluator
