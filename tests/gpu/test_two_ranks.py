"""Two ranks over NCCL, where two cards are."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

from mmroad.road_scenes.write import write_dataset

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason='there are no two GPUs')
def test_two_ranks_over_nccl_train_and_predict_as_one(tmp_path):
    write_dataset(tmp_path / 'scenes', train=8, val=4, ood=1, size=(160, 96))
    config = 'faster_rcnn_r18_fpn_quickstart'
    options = [f'{s}_dataloader.dataset.data_root={tmp_path}/scenes/' for s in ('train', 'val', 'test')]
    truth = f'{tmp_path}/scenes/labels/det_20/det_val.json'
    options += [f'{s}_evaluator.ann_file={truth}' for s in ('val', 'test')]
    options = ['--cfg-options', *options, 'train_cfg.max_epochs=1']

    def run(*command):
        done = subprocess.run(
            command, cwd=ROOT, env=dict(os.environ, PORT='29611'), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]

    run('bash', 'tools/dist_train.sh', config, '2', '--work-dir', str(tmp_path / 'run'), *options)
    for ranks in ('1', '2'):
        out = ['--format-only', '--format-dir', str(tmp_path / ranks)]
        run('bash', 'tools/dist_test.sh', config, str(tmp_path / 'run/epoch_1.pth'), ranks, *out, *options)
    assert (tmp_path / '1/det.json').read_bytes() == (tmp_path / '2/det.json').read_bytes()
