"""Every config's pipelines name an image that cannot be read, and take images of any shape."""

import itertools
import re

import cv2
import mmcv
import numpy as np
import pytest
from mmdet.registry import TRANSFORMS as DET
from mmengine.registry import TRANSFORMS, init_default_scope
from mmseg.registry import TRANSFORMS as SEG

import mmroad.detic
import mmroad.rankseg.video  # noqa: F401  both register loaders
from mmroad.files import loading
from mmroad.files.decode import decode_bgr
from mmroad.zoo.configs import configs_folder

IMAGE = cv2.imencode('.jpg', np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))[1].tobytes()
BROKEN = dict(empty=b'', head=IMAGE[:30], cut=IMAGE[:-200], page=b'<html></html>')


def loaders():
    """Each way in which a config of the zoo loads images, once."""
    texts = [path.read_text() for path in sorted(configs_folder().rglob('*.py'))]
    steps = {
        step
        for text in texts
        for step in re.findall(r"dict\(type='Load(?:ImageFromFile|DeticImage|Frame)'[^)]*\)", text)
    }
    named = sum(len(re.findall(r"'Load(?:ImageFromFile|DeticImage|Frame)'", text)) for text in texts)
    assert named == sum(text.count(step) for text in texts for step in steps) > 40  # none is missed
    return [eval(step) for step in sorted(steps)]


def test_every_loader_of_the_zoo_names_the_file(tmp_path):
    every = loaders()
    assert {step['type'] for step in every} == {'LoadImageFromFile', 'LoadDeticImage', 'LoadFrame'}
    for step, registry in itertools.product(every, (DET, SEG)):
        if registry is SEG and step['type'] != 'LoadImageFromFile':  # Detic's and the videos' are mmdet's
            continue
        init_default_scope(registry.scope)
        load = registry.build(dict(step))
        for kind, content in BROKEN.items():
            path = tmp_path / f'{kind}.jpg'
            path.write_bytes(content)
            with pytest.raises(ValueError, match=rf'{kind}\.jpg: .*(image|empty)'):
                load(dict(img_path=str(path)))
        with pytest.raises(FileNotFoundError, match='nowhere.jpg'):
            load(dict(img_path=str(tmp_path / 'nowhere.jpg')))
        (tmp_path / 'whole.jpg').write_bytes(IMAGE)
        whole = load(dict(img_path=str(tmp_path / 'whole.jpg')))['img']
        assert np.array_equal(whole, cv2.imread(str(tmp_path / 'whole.jpg')))


def test_a_missing_image_may_be_passed_over_where_a_config_says_so(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'')
    assert (
        DET.build(dict(type='LoadImageFromFile', ignore_empty=True))(dict(img_path=str(tmp_path / 'a.jpg')))
        is None
    )


@pytest.mark.parametrize('size', [(1, 5000), (60_000, 1), (1, 1), (60, 80)])
@pytest.mark.parametrize(
    'step',
    [
        dict(type='mmdet.Resize', scale=(1333, 800), keep_ratio=True),
        dict(type='mmdet.Resize', scale_factor=0.1, keep_ratio=True),
        dict(type='RandomChoiceResize', scales=[(1333, 640)], keep_ratio=True, resize_type='mmdet.Resize'),
        dict(type='mmseg.Resize', scale=(512, 256), keep_ratio=True),
        dict(type='mmseg.ResizeShortestEdge', scale=64, max_size=256),
    ],
)
def test_no_resize_goes_below_one_pixel(size, step):
    image = np.zeros((*size, 3), np.uint8)
    result = TRANSFORMS.build(step)(dict(img=image, img_shape=size, ori_shape=size))
    sides = result['img'].shape[:2]
    assert min(sides) >= 1 and result['img_shape'] == sides
    if max(size) > 1000:
        assert min(sides) == 1
    if size == (60, 80) and step.get('scale') == (1333, 800):
        assert result['img'].shape == (800, 1067, 3)


def test_what_configs_import_brings_it_along():
    import mmroad.anomaly.register as anomaly
    import mmroad.bdd100k.det as det
    import mmroad.bdd100k.sem_seg as sem_seg

    assert all(hasattr(module, 'frameworks') for module in (anomaly, det, sem_seg, mmroad.detic))


def test_color_images_are_decoded_by_the_quick_decoder_alone_where_opencv_would(monkeypatch):
    """Other channels, orders and backends are mmcv's own."""
    asked = []

    def quick(content):
        asked.append(len(content))
        return decode_bgr(content)

    monkeypatch.setattr(loading, 'decode_bgr', quick)
    want = cv2.imdecode(np.frombuffer(IMAGE, np.uint8), cv2.IMREAD_COLOR)
    for kwargs in ({}, dict(flag='color'), dict(flag=cv2.IMREAD_COLOR, backend='cv2')):
        assert np.array_equal(mmcv.imfrombytes(IMAGE, **kwargs), want)
    assert asked == [len(IMAGE)] * 3
    assert mmcv.imfrombytes(IMAGE, flag='grayscale').shape == (40, 60)
    assert np.array_equal(mmcv.imfrombytes(IMAGE, channel_order='rgb'), want[..., ::-1])
    assert mmcv.imfrombytes(IMAGE, backend='pillow').shape == (40, 60, 3)
    assert len(asked) == 3


def test_an_error_that_names_its_file_stays_and_a_long_one_is_cut():
    step = DET.build(dict(type='LoadImageFromFile'))
    for raised, kind, text in (
        (PermissionError(13, 'denied', 'a.jpg'), PermissionError, 'denied'),
        (OSError('network'), ValueError, r'a\.jpg: not an image .*\(network\)'),
        (KeyError(), ValueError, r'\(KeyError\)'),
        (RuntimeError('x' * 100 + 'y' * 200), ValueError, r'\(y{200}\)'),
    ):

        def fail(self, results, raised=raised):
            raise raised

        with pytest.raises(kind, match=text):
            loading._name_the_file(fail)(step, dict(img_path='a.jpg'))


def test_functions_are_wrapped_once():
    assert not hasattr(mmcv.imfrombytes.__wrapped__, '__wrapped__')
    loading._wrap(mmcv, 'imfrombytes', loading._decode)
    assert not hasattr(mmcv.imfrombytes.__wrapped__, '__wrapped__')
    loading._wrap(mmcv, 'a_function_of_another_version', loading._decode)
    assert not hasattr(mmcv, 'a_function_of_another_version')
