"""BDD100K as a test set of Detic, its ten classes from class embeddings: named values."""

_coco = 'data/embeddings/coco_clip_a+cname.npy#'

#: Class -> file and row of its embedding. "rider" has none in the published files; it is a column of the
#: classifier of the 21k models themselves.
bdd100k_vocabulary = {
    'pedestrian': _coco + '0',
    'rider': '#16885',
    'car': _coco + '2',
    'truck': _coco + '7',
    'bus': _coco + '5',
    'train': _coco + '6',
    'motorcycle': _coco + '3',
    'bicycle': _coco + '1',
    'traffic light': _coco + '9',
    'traffic sign': 'data/embeddings/o365_clip_a+cnamefix.npy#89',
}
bdd100k_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='BDD100KDetDataset',
        data_root='data/bdd100k/',
        ann_file='labels/det_20/det_val.json',
        data_prefix=dict(img='images/100k/val/'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(1333, 800), keep_ratio=True, backend='pillow'),
            dict(type='PackDeticInputs'),
        ],
    )
)
bdd100k_evaluator = dict(_delete_=True, type='BDD100KDetMetric', of_dataset=True)
