"""A run in shards: each whole or not there, and a worker that dies takes nothing with it."""

import json
import os
import signal
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch
import yaml

import mmroad
from mmroad import get_config
from mmroad.commands import main
from mmroad.files.sources import LeftOut, open_source
from mmroad.inference.shards import left_out_of, make_shards, run_shard

CLUSTER = Path(__file__).parents[1] / 'docs/cluster'
MODEL = dict(model='faster_rcnn_r18_fpn_quickstart', weights=None)


@pytest.fixture
def folder(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / 'images'
    path.mkdir()
    for i in range(5):
        cv2.imwrite(str(path / f'{i}.png'), rng.integers(0, 255, (64, 96, 3), np.uint8))
    (path / '3.png').write_bytes(b'no image')
    return path


@pytest.fixture(scope='module')
def detect():
    torch.manual_seed(0)
    options = {'model.test_cfg.rcnn.score_thr': 0.0, 'model.test_cfg.rcnn.max_per_img': 3}
    return mmroad.inferencer('faster_rcnn_r18_fpn_quickstart', cfg_options=options)


def frames(out):
    lines = [line for path in sorted(out.glob('results/*.jsonl')) for line in path.read_text().splitlines()]
    return list(map(json.loads, lines))


def test_shards_together_are_the_run(detect, folder, tmp_path):
    out = tmp_path / 'out'
    shards = make_shards(open_source(folder), out, 2, MODEL)
    assert [[item.name for item in shard.items] for shard in shards] == [
        ['0.png', '1.png'], ['2.png', '3.png'], ['4.png']]  # fmt: skip
    with pytest.warns(LeftOut):
        assert [run_shard(detect, shard) for shard in shards] == [0, 1, 0]
        whole = [msgspec.to_builtins(r.to_scalabel()) for r in detect.run(folder, progress=False)]
    assert all(shard.done for shard in shards)
    got = frames(out)
    assert [frame['name'] for frame in got] == ['0.png', '1.png', '2.png', '4.png']
    for frame, want in zip(got, whole, strict=True):
        assert [label['category'] for label in frame['labels']] == [
            label['category'] for label in want['labels']
        ]
        assert frame['labels'][0]['score'] == pytest.approx(want['labels'][0]['score'], abs=1e-5)
    assert list(left_out_of(shards)) == ['3.png'] and '3.png' in left_out_of(shards)['3.png']
    again = make_shards(open_source(folder), out, 2, MODEL)
    assert [shard.results for shard in again if not shard.done] == []


def test_a_shard_that_fails_leaves_nothing(detect, folder, tmp_path, monkeypatch):
    (shard,) = make_shards(open_source(folder / '0.png'), tmp_path / 'out', 9, MODEL)

    def broken(images):
        raise KeyError('score')

    monkeypatch.setattr(detect, 'forward', broken)
    with pytest.raises(KeyError):
        run_shard(detect, shard)
    assert not shard.done and not any((tmp_path / 'out/results').iterdir())


@pytest.mark.parametrize(
    'size, model, differs', [(3, MODEL, 'shard_size'), (2, dict(MODEL, weights='b.pth'), 'model')]
)
def test_results_of_another_run_are_refused(folder, tmp_path, size, model, differs):
    make_shards(open_source(folder), tmp_path / 'out', 2, MODEL)
    with pytest.raises(ValueError, match=f'run.json: .* of another run, with other {differs}'):
        make_shards(open_source(folder), tmp_path / 'out', size, model)
    (folder / '9.png').write_bytes((folder / '0.png').read_bytes())
    with pytest.raises(ValueError, match='with other images'):
        make_shards(open_source(folder), tmp_path / 'out', 2, MODEL)


def test_what_cannot_be_shared_out(folder, tmp_path):
    with pytest.raises(ValueError, match='at least 1 image, not 0'):
        make_shards(open_source(folder), tmp_path / 'out', 0, MODEL)
    video = cv2.VideoWriter(str(folder / 'drive.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, (96, 64))
    video.write(np.zeros((64, 96, 3), np.uint8))
    video.release()
    with pytest.raises(ValueError, match='drive.avi is a video'):
        make_shards(open_source(folder), tmp_path / 'out', 2, MODEL)
    assert not (tmp_path / 'out').exists()


def test_without_ray(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    common = [str(folder), '--out', str(tmp_path / 'out'), '--engine', 'ray']
    with pytest.raises(SystemExit, match='needs Ray.*pip install'):
        main(['infer', MODEL['model'], 'none', *common])
    with pytest.raises(SystemExit, match='is for models of images'):
        main(['infer', 'rankseg_small_road_scenes_video', 'none', *common])


@pytest.mark.slow
def test_a_killed_worker_s_shard_is_done_again(folder, tmp_path, monkeypatch, capsys):
    ray = pytest.importorskip('ray')
    from mmroad.inference import on_ray

    torch.manual_seed(0)
    weights = tmp_path / 'weights.pth'
    torch.save(mmroad.init_model(MODEL['model']).state_dict(), weights)
    once = tmp_path / 'killed'

    class Dies(on_ray.ShardWorker):
        def run(self, shard):
            if shard.number == 1 and not once.exists():
                once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().run(shard)

    monkeypatch.setattr(on_ray, 'ShardWorker', Dies)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    options = ['--cfg-options', 'model.test_cfg.rcnn.score_thr=0.0', 'model.test_cfg.rcnn.max_per_img=3']
    command = ['infer', MODEL['model'], str(weights), str(folder), '--out', str(tmp_path / 'out'), *options]
    command += ['--engine', 'ray', '--workers', '2', '--shard-size', '2']
    with pytest.raises(SystemExit, match='a worker of Ray could not begin: .*nowhere.pth'):
        main([part.replace(str(weights), 'nowhere.pth') for part in command])
    (tmp_path / 'out/run.json').unlink()
    with pytest.raises(SystemExit) as raised, pytest.warns(UserWarning, match='died at shard 1'):
        main(command)
    said = capsys.readouterr()
    assert raised.value.code == 1 and '3.png' in said.err and once.exists()
    assert 'results of 4 of 5 images in 3 of 3 shards' in said.out
    changes = {'model.test_cfg.rcnn.score_thr': 0.0, 'model.test_cfg.rcnn.max_per_img': 3}
    detect = mmroad.inferencer(MODEL['model'], str(weights), cfg_options=changes)
    with pytest.warns(LeftOut):
        whole = [r.to_scalabel() for r in detect.run(folder, progress=False)]
    for frame, want in zip(frames(tmp_path / 'out'), whole, strict=True):
        assert frame['name'] == want['name']
        for label, other in zip(frame['labels'], want['labels'], strict=True):
            assert label['score'] == pytest.approx(other['score'], abs=1e-5)


def test_the_cluster_files_fit_what_they_start():
    job = yaml.safe_load((CLUSTER / 'pytorchjob.yaml').read_text())
    replicas = job['spec']['pytorchReplicaSpecs']
    (container,) = replicas['Worker']['template']['spec']['containers']
    command = container['args'][0]
    machines = sum(replica['replicas'] for replica in replicas.values())
    assert f'NNODES={machines} ' in command
    gpus = container['resources']['limits']['nvidia.com/gpu']
    task = yaml.safe_load((CLUSTER / 'skypilot.yaml').read_text())
    for text in (command, task['run']):
        words = text.replace('\\\n', ' ').split()
        at = words.index('tools/dist_train.sh')
        assert (CLUSTER.parents[1] / words[at]).is_file() and get_config(words[at + 1]).model
        assert words[at + 2] in (str(gpus), '"$SKYPILOT_NUM_GPUS_PER_NODE"')
        assert {'--amp', '--resume'} < set(words)
