"""Open-vocabulary COCO: boxes of 48 seen classes to learn from, AP50 over them and 17 unseen ones."""

_base_ = ['detic.py']

# fmt: off
_seen = [
    'person', 'bicycle', 'car', 'motorcycle', 'train', 'truck', 'boat', 'bench', 'bird', 'horse', 'sheep', 'bear',
    'zebra', 'giraffe', 'backpack', 'handbag', 'suitcase', 'frisbee', 'skis', 'kite', 'surfboard', 'bottle', 'fork',
    'spoon', 'bowl', 'banana', 'apple', 'sandwich', 'orange', 'broccoli', 'carrot', 'pizza', 'donut', 'chair', 'bed',
    'toilet', 'tv', 'laptop', 'mouse', 'remote', 'microwave', 'oven', 'toaster', 'refrigerator', 'book', 'clock',
    'vase', 'toothbrush',
]
_unseen = [
    'airplane', 'bus', 'cat', 'dog', 'cow', 'elephant', 'umbrella', 'tie', 'snowboard', 'skateboard', 'cup', 'knife',
    'cake', 'couch', 'keyboard', 'sink', 'scissors',
]
# fmt: on
val_dataloader = dict(
    dataset=dict(
        ann_file='coco/zero-shot/instances_val2017_all_2_oriorder.json', data_prefix=dict(img='coco/val2017/')
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(
    protocol='coco',
    ann_file='data/coco/zero-shot/instances_val2017_all_2_oriorder.json',
    iou_types=['bbox'],
    groups=dict(seen=_seen, unseen=_unseen),
)
test_evaluator = val_evaluator
