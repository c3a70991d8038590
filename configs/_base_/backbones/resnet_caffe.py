"""ResNet backbones in Caffe's style (BGR, stride in the 1x1) with detectron's and detectron2's weights."""

r50_caffe = dict(
    type='ResNet',
    depth=50,
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    frozen_stages=1,
    norm_cfg=dict(type='BN', requires_grad=False),
    norm_eval=True,
    style='caffe',
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://detectron/resnet50_caffe-788b5fa3.pth'),
)
r101_caffe = dict(depth=101, init_cfg=dict(checkpoint='imagenet://detectron/resnet101_caffe-3ad79236.pth'))
r50_caffe_detectron2 = dict(init_cfg=dict(checkpoint='imagenet://resnet50_msra-5891d200.pth'))
