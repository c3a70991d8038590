"""Whether a run leaves images out depends on all of its metrics."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmdet.evaluation import DumpDetResults
from mmengine.dataset import BaseDataset
from mmseg.evaluation import IoUMetric

from mmroad.anomaly.datasets import AnomalyDataset
from mmroad.anomaly.metric import AnomalyMetric
from mmroad.bdd100k.instance_metric import BDD100KPanSegMetric
from mmroad.files import ImageError, write_image
from mmroad.files.unreadable import LeavesOutImages, let_leave_out
from mmroad.rankseg.video.metrics import VideoSemSegMetric


class Images(LeavesOutImages, BaseDataset):
    def load_data_list(self) -> list[dict]:
        return [dict(img_path='a.jpg')]


@pytest.mark.parametrize(
    ('kinds', 'known'),
    [
        ([BDD100KPanSegMetric], True),
        ([AnomalyMetric, BDD100KPanSegMetric], True),
        ([AnomalyMetric, IoUMetric], False),
        ([VideoSemSegMetric], False),
    ],
)
def test_every_metric_must_know(tmp_path, kinds, known):
    metrics = [kind() for kind in kinds] + [DumpDetResults(str(tmp_path / 'a.pkl'))]
    parts = [Images(), SimpleNamespace(), Images()]
    loader = SimpleNamespace(
        dataset=SimpleNamespace(datasets=[parts[0], SimpleNamespace(datasets=parts[1:])])
    )
    for _ in range(2):
        let_leave_out(SimpleNamespace(dataloader=loader, evaluator=SimpleNamespace(metrics=metrics)))
        assert [getattr(part, 'leaves_out', None) for part in parts] == [known, None, known]
        metrics, known = [*metrics, IoUMetric()], False


def test_the_picture_instead_has_the_size_of_the_mask(tmp_path):
    for name in ('images/a.png', 'masks/a.png'):
        (tmp_path / name).parent.mkdir()
        write_image(tmp_path / name, np.zeros((20, 30), np.uint8))
    (tmp_path / 'images/a.png').write_bytes(b'')
    steps = [
        dict(type='LoadImageFromFile'),
        dict(type='mmseg.LoadAnomalyMask'),
        dict(type='mmseg.PackSegInputs'),
    ]
    data = AnomalyDataset('masks', str(tmp_path), pipeline=steps, test_mode=True)
    with pytest.raises(ImageError, match='images/a.png: the file is empty'):
        data[0]
    data.leaves_out = True
    item = data[0]
    assert item['inputs'].shape == (3, 20, 30) and not item['inputs'].any()
    assert item['data_samples'].left_out.startswith(str(tmp_path / 'images/a.png'))
