"""BDD100K drivable area by the model zoo's recipe: 70000 and 10000 images; direct, alternative, background."""

_base_ = ['zoo_sem_seg.py']


def _of_three(pipeline):
    return [dict(step, num_classes=3) if step.type == 'LoadLabelMap' else step for step in pipeline]


def _data(split, pipeline):
    return dict(
        type='BDD100KDrivableDataset',
        data_prefix=dict(img_path=f'images/100k/{split}', seg_map_path=f'labels/drivable/masks/{split}'),
        pipeline=_of_three(pipeline),
    )


classes = dict(num_classes=3)
train_dataloader = dict(dataset=_data('train', _base_.train_pipeline))
val_dataloader = dict(dataset=_data('val', _base_.test_pipeline))
test_dataloader = val_dataloader
train_769 = dict(dataset=dict(pipeline=_of_three(_base_.train_pipeline_769)))
test_769 = dict(dataset=dict(pipeline=_of_three(_base_.test_pipeline_769)))
val_evaluator = dict(type='BDD100KDrivableMetric')
test_evaluator = val_evaluator
