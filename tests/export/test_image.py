"""What goes into the graph is what the test pipeline makes, to the last digit."""

import cv2
import numpy as np
import pytest
import torch
from mmdet.models import DetDataPreprocessor
from mmengine.dataset import Compose
from mmseg.models import SegDataPreProcessor
from mmseg.registry import TRANSFORMS
from mmseg.structures import SegDataSample
from PIL import Image

from mmroad.export.image import ImageInput, cv2_taps, pillow_taps, resize_cv2, resize_pillow

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
# With keep_ratio: where one side grew and the other shrank, Pillow goes down first from 13 on.
SIZES = [(37, 50, 72, 96), (64, 40, 48, 30), (50, 33, 100, 67), (90, 70, 21, 16), (20, 20, 20, 20)]


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize('height, width, h, w', SIZES)
def test_resizing_is_opencvs_and_pillows(height, width, h, w):
    image = noise(height, width)
    lengths, targets = map(torch.tensor, (height, width)), map(torch.tensor, (h, w))
    pairs = list(zip(lengths, targets))
    tensor = torch.from_numpy(image)[None]
    ours = resize_cv2(tensor, *(cv2_taps(*pair, clamp=i == 1) for i, pair in enumerate(pairs)))
    assert np.array_equal(ours[0].numpy(), cv2.resize(image, (w, h)))
    ours = resize_pillow(tensor, *(pillow_taps(*pair) for pair in pairs))
    assert np.array_equal(ours[0].numpy(), np.array(Image.fromarray(image).resize((w, h), Image.BILINEAR)))


@pytest.mark.parametrize(
    'resize',
    [
        dict(scale=(60, 40), keep_ratio=True),
        dict(scale=(61, 43), keep_ratio=True, backend='pillow'),
        dict(scale_factor=1.0),
        dict(scale_factor=0.7),
    ],
)
@pytest.mark.parametrize('rgb', [True, False])
def test_the_input_is_the_pipelines(resize, rgb):
    preprocessor = DetDataPreprocessor(mean=MEAN, std=STD, bgr_to_rgb=rgb, pad_size_divisor=32)
    step = dict(type='Resize', **resize)
    pipeline = Compose(
        [
            dict(type='mmdet.LoadImageFromNDArray'),
            dict(step, type='mmdet.Resize'),
            dict(type='mmdet.PackDetInputs'),
        ]
    )
    image = noise(37, 53)
    data = pipeline(dict(img=image[..., ::-1].copy(), img_id=0))
    batch = preprocessor(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
    meta = batch['data_samples'][0].metainfo
    for size in (None, (37, 53)):
        got = ImageInput([step], preprocessor, size)(torch.from_numpy(image)[None])
        assert torch.equal(got.inputs, batch['inputs'])
        assert tuple(map(int, got.size)) == tuple(meta['img_shape'])
        assert np.allclose(got.factor.numpy(), 1 / np.array(meta['scale_factor'] * 2), rtol=1e-7)
        assert got.limits.tolist() == [*meta['img_shape'][::-1], *meta['img_shape'][::-1]]


def test_the_graph_of_open_sizes_gives_the_same(tmp_path):
    pytest.importorskip('onnx')
    onnxruntime = pytest.importorskip('onnxruntime')
    preprocessor = DetDataPreprocessor(mean=MEAN, std=STD, bgr_to_rgb=True, pad_size_divisor=32)
    for backend in ('cv2', 'pillow'):
        module = ImageInput(
            [dict(type='Resize', scale=(60, 40), keep_ratio=True, backend=backend)], preprocessor, None
        )
        torch.onnx.export(
            module, (torch.from_numpy(noise(37, 53))[None],), str(tmp_path / 'm.onnx'), dynamo=False,
            opset_version=17, input_names=['images'], dynamic_axes={'images': {0: 'b', 1: 'h', 2: 'w'}},
        )  # fmt: skip
        session = onnxruntime.InferenceSession(str(tmp_path / 'm.onnx'))
        for height, width in ((37, 53), (81, 44), (25, 33)):
            image = noise(height, width, seed=height)[None]
            want = module(torch.from_numpy(image))
            got = session.run(None, dict(images=image))
            # mean and deviation may be taken off in another order
            assert got[0].shape == want.inputs.shape and np.abs(got[0] - want.inputs.numpy()).max() < 1e-6
            assert np.array_equal(got[-1], want.factor.numpy()) and np.array_equal(
                got[-2], want.limits.numpy()
            )


@pytest.mark.parametrize('scale, longest', [(40, 60), (37, 200), (64, 71), (19, 23)])
def test_the_shortest_side_as_mmseg_has_it(scale, longest):
    step = dict(type='mmseg.ResizeShortestEdge', scale=scale, max_size=longest)
    module = ImageInput([step], DetDataPreprocessor(mean=MEAN, std=STD), None)
    pipeline = TRANSFORMS.build(step)
    for height, width in ((37, 53), (81, 44), (25, 33), (90, 29), (64, 64), (31, 97)):
        image = noise(height, width, seed=height)
        want = pipeline(dict(img=image, img_shape=image.shape[:2]))['img']
        got = module(torch.from_numpy(image)[None])
        assert tuple(map(int, got.size)) == want.shape[:2]
        pixels = got.inputs * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
        assert np.array_equal(pixels[0].permute(1, 2, 0).round().numpy(), want[..., ::-1])


@pytest.mark.parametrize(
    'step, said',
    [
        (dict(type='RandomFlip', prob=0.5), 'RandomFlip'),
        (dict(type='Resize', scale=(60, 40), keep_ratio=False), 'keep_ratio=True'),
        (dict(type='Resize', scale=(60, 40), keep_ratio=True, interpolation='area'), 'bilinear'),
    ],
)
def test_what_the_graph_cannot_do_is_named(step, said):
    preprocessor = DetDataPreprocessor(mean=MEAN, std=STD, pad_size_divisor=32)
    with pytest.raises(ValueError, match=said):
        ImageInput([step], preprocessor, None)


def test_mmsegs_padding():
    preprocessor = SegDataPreProcessor(
        mean=MEAN, std=STD, bgr_to_rgb=True, size=(64, 64), test_cfg=dict(size_divisor=32)
    )
    image = noise(37, 53)
    tensor = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
    want = preprocessor(dict(inputs=[tensor], data_samples=[SegDataSample()]))['inputs']
    for size in (None, (37, 53)):
        got = ImageInput([], preprocessor, size)(torch.from_numpy(image)[None]).inputs
        assert got.shape == (1, 3, 64, 64) and torch.equal(got, want)
