import pytest

from mmroad.zoo.configs import get_config
from mmroad.zoo.flops import count


@pytest.mark.parametrize(
    'name', ['faster_rcnn_r18_fpn_quickstart', 'rba_small_1dl_road_scenes', 'deepv3plus_r18_road_scenes']
)
def test_detectors_and_segmentation_models_are_counted(name):
    small, large = (count(get_config(name), shape) for shape in ((90, 160), (192, 320)))
    assert small.parameters == large.parameters > 1e6
    assert 1 < large.multiply_adds / small.multiply_adds <= 4.5
    assert large.multiply_adds > 1e8 and small.height >= 90 and small.width >= 160
