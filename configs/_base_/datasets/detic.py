"""Detic's data: LVIS, image-labeled and captioned sets as named values; LVIS alone by default."""

data_root = 'data/'
_lvis = dict(type='DeticDataset', data_root=data_root, data_prefix=dict(img='coco/'))


def _c2_pipeline(size, scale_range, masks=True, caption=False):
    return [
        dict(type='LoadDeticImage'),
        dict(type='LoadDeticAnnotations', with_bbox=True, with_mask=masks),
        dict(type='EfficientDetResizeCrop', size=size, scale_range=scale_range),
        dict(type='RandomFlip', prob=0.5),
        *([dict(type='LoadCaptionEmbedding')] if caption else []),
        dict(type='PackDeticInputs'),
    ]


def _short_edge_pipeline(sizes, longest, caption=False):
    return [
        dict(type='LoadDeticImage'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(
            type='RandomChoiceResize', scales=[(longest, s) for s in sizes], keep_ratio=True, backend='pillow'
        ),
        dict(type='RandomFlip', prob=0.5),
        *([dict(type='LoadCaptionEmbedding')] if caption else []),
        dict(type='PackDeticInputs'),
    ]


box_640, box_896 = _c2_pipeline(640, (0.1, 2.0)), _c2_pipeline(896, (0.1, 2.0))
weak_320 = _c2_pipeline(320, (0.5, 1.5), masks=False)
weak_448 = _c2_pipeline(448, (0.5, 1.5), masks=False)
weak_320_caption = _c2_pipeline(320, (0.5, 1.5), masks=False, caption=True)
detr_box = _short_edge_pipeline(range(480, 801, 32), 1333)
detr_weak = _short_edge_pipeline(range(240, 401, 16), 667)
c4_box, c4_weak = _short_edge_pipeline([800], 1333), _short_edge_pipeline([400], 667)
c4_caption = _short_edge_pipeline([400], 667, caption=True)

lvis = dict(_lvis, ann_file='lvis/lvis_v1_train.json')
lvis_norare = dict(_lvis, ann_file='lvis/lvis_v1_train_norare.json')
lvis_coco = dict(_lvis, ann_file='lvis/lvis_v1_train+coco_mask.json')
imagenet_lvis = dict(
    type='DeticDataset',
    ann_type='image',
    data_root=data_root,
    ann_file='imagenet/annotations/imagenet_lvis_image_info.json',
    data_prefix=dict(img='imagenet/ImageNet-LVIS/'),
)
imagenet_21k = dict(
    type='DeticDataset',
    ann_type='image',
    data_root=data_root,
    ann_file='imagenet/annotations/imagenet-22k_image_info_lvis-22k.json',
    tar_index=data_root + 'imagenet/metadata-22k/tar_index.npz',
)
cc3m = dict(
    type='DeticDataset',
    ann_type='image',
    data_root=data_root,
    ann_file='cc3m/cc3m_train_image_info_tags.json',
    data_prefix=dict(img='cc3m/training/'),
)
cc3m_caption = dict(
    cc3m, ann_type='captiontag', caption_embeddings=data_root + 'cc3m/cc3m_train_caption_embeddings.npy'
)
coco_base = dict(
    type='DeticDataset',
    data_root=data_root,
    ann_file='coco/zero-shot/instances_train2017_seen_2_oriorder.json',
    data_prefix=dict(img='coco/train2017/'),
)
coco_tags = dict(
    coco_base, ann_type='image', ann_file='coco/annotations/captions_train2017_tags_allcaps.json'
)
coco_caption = dict(
    coco_tags, ann_type='caption', caption_embeddings=data_root + 'coco/captions_train2017_embeddings.npy'
)
coco_captiontag = dict(coco_caption, ann_type='captiontag')

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True, backend='pillow'),
    dict(type='PackDeticInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DeticSampler', ratios=[1], repeat=[True]),
    batch_sampler=dict(type='DeticBatchSampler'),
    dataset=dict(lvis, pipeline=box_640),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='DeticDataset',
        data_root=data_root,
        ann_file='lvis/lvis_v1_val.json',
        data_prefix=dict(img='coco/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='OpenVocabularyMetric',
    protocol='lvis',
    ann_file=data_root + 'lvis/lvis_v1_val.json',
    iou_types=['bbox', 'segm'],
)
test_evaluator = val_evaluator
lvis_novel = dict(groups=dict(novel='r'))  # classes without boxes in the training data
