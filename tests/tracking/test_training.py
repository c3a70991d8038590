"""A training of QDTrack on drawn drives, its scores, and the files for the server."""

import json

import pytest

from mmroad.bdd100k.eval.track import evaluate_track
from mmroad.bdd100k.track_columns import read_track_columns
from mmroad.commands import main

NAME = 'qdtrack-frcnn_r18_fpn_road_scenes'


@pytest.mark.slow
def test_train_test_and_files(drives, tmp_path):
    options = [
        '--cfg-options',
        f'data_root={drives}/',
        'train_dataloader.num_workers=0',
        'val_dataloader.num_workers=0',
    ]
    options += ['train_dataloader.persistent_workers=False', 'val_dataloader.persistent_workers=False']
    options += ['test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']
    options += ['model.tracker.init_score_thr=0.05', 'model.tracker.obj_score_thr=0.02']
    main(
        [
            'train',
            NAME,
            '--work-dir',
            str(tmp_path),
            *options,
            'train_cfg.max_epochs=1',
            'train_cfg.val_interval=1',
        ]
    )
    (log,) = tmp_path.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    scores = lines[-1]
    assert 'bdd100k/mMOTA' in scores and 'bdd100k/IDF1' in scores
    checkpoint = str(tmp_path / 'epoch_1.pth')
    out = tmp_path / 'out'
    main(
        [
            'test',
            NAME,
            checkpoint,
            '--work-dir',
            str(tmp_path),
            '--format-only',
            '--format-dir',
            str(out),
            *options,
        ]
    )
    assert {path.name for path in out.iterdir()} == {'box_track.json', 'box_track.zip'}
    truth, found = drives / 'labels/box_track_20/val', out / 'box_track.zip'
    again = evaluate_track(read_track_columns(truth), read_track_columns(found)).summary()
    assert (
        again['mMOTA'] == pytest.approx(scores['bdd100k/mMOTA']) and again['IDSw'] == scores['bdd100k/IDSw']
    )
