"""A small detector and a small anomaly segmentor, exported once."""

import warnings

import pytest
import torch

from mmroad.export.made_up import made_up_model, small_twin
from mmroad.files import write_image
from mmroad.zoo.configs import get_config

SIZE = (96, 160)


class Exported:
    """A model with its config, checkpoint and ONNX file below a folder."""

    def __init__(self, folder, name, size, **options):
        from mmroad.export.write import example_images, export

        self.folder, self.images = folder, example_images(SIZE)
        self.cfg = small_twin(get_config(name))
        self.model = made_up_model(self.cfg, SIZE)
        self.config, self.checkpoint, self.file = (
            folder / n for n in ('small.py', 'small.pth', 'small.onnx')
        )
        self.cfg.dump(self.config)
        meta = dict(dataset_meta=dict(classes=self.model.dataset_meta['classes']))
        torch.save(dict(state_dict=self.model.state_dict(), meta=meta), self.checkpoint)
        for number, image in enumerate(self.images):
            write_image(folder / f'images/{number}.png', image[..., ::-1])
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            self.difference = export(
                self.model, self.file, size, images=self.images, checkpoint=self.checkpoint, **options
            )


@pytest.fixture(scope='session')
def detector(tmp_path_factory):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    folder = tmp_path_factory.mktemp('a detector')  # with a blank
    (folder / 'images').mkdir()
    return Exported(folder, 'faster_rcnn_r18_fpn_quickstart', SIZE)


@pytest.fixture(scope='session')
def segmentor(tmp_path_factory):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    folder = tmp_path_factory.mktemp('segmentor')
    (folder / 'images').mkdir()
    return Exported(folder, 'abet_deepv3plus_r18_road_scenes_ood', None)
