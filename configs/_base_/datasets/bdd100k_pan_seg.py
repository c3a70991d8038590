"""BDD100K panoptic segmentation, one training scale (1x): 7000 and 1000 images, 10 things and 30 stuff."""

_base_ = ['bdd100k_ins_seg.py']


def _data(split):
    return dict(
        type='BDD100KPanSegDataset',
        data_prefix=dict(img=f'images/10k/{split}/', bitmask=f'labels/pan_seg/bitmasks/{split}/'),
    )


train_dataloader = dict(dataset=_data('train'))
val_dataloader = dict(dataset=_data('val'))
test_dataloader = val_dataloader
val_evaluator = dict(type='BDD100KPanSegMetric')
test_evaluator = val_evaluator
