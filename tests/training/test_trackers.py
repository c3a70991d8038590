"""--tracker: what is logged and drawn goes to TensorBoard and others."""

import sys

import numpy as np
import pytest
from mmengine.config import Config
from tiny_training import run_tiny, tiny_config

from mmroad.anomaly.visualizer import AnomalyVisualizer
from mmroad.commands import main
from mmroad.commands.train import TRACKERS as OFFERED
from mmroad.runtime.training import TRACKERS, add_trackers


def test_the_command_offers_all():
    assert tuple(OFFERED) == tuple(TRACKERS)


def test_backends_are_added_once_and_keep_their_settings(tmp_path, monkeypatch):
    for tracker in TRACKERS.values():
        monkeypatch.setitem(sys.modules, tracker.package, sys)  # as if it were installed
    own = dict(type='mmengine.WandbVisBackend', init_kwargs=dict(project='mine'))
    cfg = Config(tiny_config(tmp_path / 'run 7', visualizer=dict(type='Visualizer', vis_backends=[own])))
    add_trackers(cfg, ['wandb', 'mlflow', 'mlflow'])
    mlflow = dict(type='MLflowVisBackend', exp_name='mmroad', run_name='run 7')
    assert cfg.visualizer.vis_backends == [own, mlflow]
    bare = Config(tiny_config(tmp_path))
    add_trackers(bare, ['dvclive'])
    assert [b['type'] for b in bare.visualizer['vis_backends']] == ['LocalVisBackend', 'DVCLiveVisBackend']


def test_packages_that_are_missing_are_named(tmp_path, monkeypatch):
    for name in ('neptune', 'aim'):
        monkeypatch.setitem(sys.modules, name, None)  # cannot be imported
    with pytest.raises(SystemExit) as end:
        main(['train', 'nothing.py', '--tracker', 'neptune', 'aim'])
    assert 'pip install "neptune" "aim"' in str(end.value) and '\n' not in str(end.value)


def test_tensorboard_has_the_numbers(tmp_path, monkeypatch):
    pytest.importorskip('tensorboard', reason='tensorboard is not installed')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def build(cfg):
        add_trackers(cfg, ['tensorboard'])
        return real(cfg)

    import tiny_training

    real = tiny_training.build_runner
    monkeypatch.setattr(tiny_training, 'build_runner', build)
    run_tiny(tmp_path)
    (file,) = tmp_path.rglob('events.out.*')
    events = EventAccumulator(str(file))
    events.Reload()
    assert len(events.Scalars('loss')) == 24 and [e.step for e in events.Scalars('tiny/right')] == [
        1,
        2,
        3,
        4,
    ]
    assert list(tmp_path.rglob('scalars.json'))  # the run's own file is there too


def test_anomaly_pictures_go_to_trackers_beside_their_file(tmp_path):
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    class Seen:
        def add_image(self, name, image, step=0):
            self.images = [*getattr(self, 'images', []), (name, image.shape, step)]

    visualizer = AnomalyVisualizer(
        vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path / 'vis')
    )
    visualizer._vis_backends['tracker'] = seen = Seen()
    sample = SegDataSample(anomaly_map=PixelData(data=torch.rand(1, 8, 12)))
    sample.anomaly_scale = (0.0, 1.0)
    image = np.zeros((8, 12, 3), np.uint8)
    visualizer.add_datasample('a', image, sample, out_file=str(tmp_path / 'a.png'), step=3)
    assert (tmp_path / 'a.png').exists() and [row[0::2] for row in seen.images] == [('a', 3)]
    assert not list(tmp_path.glob('vis/**/*.png'))  # it has a file already
    visualizer.add_datasample('b', image, sample, step=4)
    assert [row[0::2] for row in seen.images] == [('a', 3), ('b', 4)] and list(tmp_path.glob('vis/**/*.png'))
