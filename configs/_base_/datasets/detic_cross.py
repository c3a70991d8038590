"""Objects365 and OpenImages as test sets of one run, each with its vocabulary: named values."""

cross_vocabularies = dict(
    objects365='data/embeddings/o365_clip_a+cnamefix.npy', openimages='data/embeddings/oid_clip_a+cname.npy'
)
_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True, backend='pillow'),
    dict(type='PackDeticInputs'),
]
_test_set = dict(type='DeticDataset', data_root='data/', test_mode=True, pipeline=_pipeline)
_objects365 = 'objects365/annotations/zhiyuan_objv2_val_fixname.json'
_openimages = 'oid/annotations/oid_challenge_2019_val_expanded.json'
cross_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                _test_set,
                ann_file=_objects365,
                data_prefix=dict(img='objects365/val/'),
                vocabulary='objects365',
            ),
            dict(
                _test_set, ann_file=_openimages, data_prefix=dict(img='oid/images/'), vocabulary='openimages'
            ),
        ],
    )
)
cross_evaluator = dict(
    _delete_=True,
    type='MultiDatasetsEvaluator',
    dataset_prefixes=['objects365', 'openimages'],
    metrics=[
        dict(type='OpenVocabularyMetric', ann_file='data/' + _objects365),
        dict(type='OpenVocabularyMetric', protocol='openimages', ann_file='data/' + _openimages),
    ],
)
