"""The command-line tools on a small detector and a dozen road scenes, with real processes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmroad.road_scenes.write import write_dataset

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / 'configs/quickstart/faster_rcnn_r18_fpn_quickstart.py'
TOOLS = ['build_mmcv', 'check_env', 'test', 'train']
ENV = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_dataset(root, train=8, val=7, ood=1, size=(160, 96))
    return root


def options(scenes, *more):
    data = [f'{split}_dataloader.dataset.data_root={scenes}/' for split in ('train', 'val', 'test')]
    workers = [
        f'{s}_dataloader.{k}'
        for s in ('train', 'val', 'test')
        for k in ('num_workers=0', 'persistent_workers=False')
    ]
    truth = [f'{split}_evaluator.ann_file={scenes}/labels/det_20/det_val.json' for split in ('val', 'test')]
    return [
        '--cfg-options',
        *data,
        *workers,
        *truth,
        'train_cfg.max_epochs=2',
        'train_cfg.val_interval=9',
        *more,
    ]


def run(*command, check=True, **kwargs):
    done = subprocess.run(
        [str(c) for c in command], env=ENV, capture_output=True, text=True, cwd=ROOT, **kwargs
    )
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


@pytest.fixture(scope='module')
def checkpoint(scenes, tmp_path_factory):
    work = tmp_path_factory.mktemp('work')
    done = run(sys.executable, 'tools/train.py', CONFIG, '--work-dir', work, *options(scenes))
    assert re.match(r'no GPU found: running on the CPU, 1 process\n|running on ', done.stdout)
    return work / 'epoch_2.pth'


@pytest.mark.parametrize('tool', TOOLS)
def test_help_needs_no_framework(tool):
    path = f'tools/{tool}.py'
    code = (
        f'import sys, runpy; sys.argv = [{path!r}, "--help"]\n'
        f'try: runpy.run_path({path!r}, run_name="__main__")\n'
        'except SystemExit as e: assert not e.code, e.code\n'
        'assert not {"torch", "mmengine", "mmdet", "mmseg", "cv2"} & set(sys.modules), "a heavy import"'
    )
    assert 'usage:' in run(sys.executable, '-c', code).stdout


def predict(scenes, checkpoint, out, *more, processes=1, port=29611):
    if processes == 1:
        command = [sys.executable, 'tools/test.py', CONFIG, checkpoint]
    else:
        command = ['bash', 'tools/dist_test.sh', CONFIG, checkpoint, processes]
    os.environ['PORT'] = ENV['PORT'] = str(port)
    return run(
        *command, *more, '--format-dir', out, '--work-dir', out / 'log',
        *options(scenes, 'model.test_cfg.rcnn.score_thr=0.01'),
    )  # fmt: skip


def test_prediction_files_are_the_same_bytes_with_one_and_with_three_processes(scenes, checkpoint, tmp_path):
    done = predict(scenes, checkpoint, tmp_path / 'one', '--out', tmp_path / 'p.pkl')
    predict(scenes, checkpoint, tmp_path / 'three', '--format-only', processes=3, port=29612)
    for name in ('det.json', 'det.coco.json'):
        assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'three' / name).read_bytes()
    frames = json.loads((tmp_path / 'one/det.json').read_text())['frames']
    assert [f['name'] for f in frames] == [f'val-{i:05d}.jpg' for i in range(7)] and any(
        f['labels'] for f in frames
    )
    truth = scenes / 'labels/det_20/det_val.json'
    official = run(
        sys.executable, '-m', 'bdd100k.eval.run', '-t', 'det', '-g', truth, '-r', tmp_path / 'one/det.json',
        '--nproc', 1, '--out-file', tmp_path / 'official.json',
    )  # fmt: skip
    assert 'OVERALL' in official.stdout + official.stderr
    scored = re.search(r'bdd100k/AP50: (\S+)', done.stdout + done.stderr)
    want = json.loads((tmp_path / 'official.json').read_text())['AP50'][1]['OVERALL']
    assert float(scored[1]) == pytest.approx(want, abs=1e-4) and (tmp_path / 'p.pkl').is_file()


def test_a_killed_training_goes_on_from_its_last_checkpoint(scenes, tmp_path):
    command = [sys.executable, 'tools/train.py', CONFIG, '--work-dir', tmp_path]
    more = options(scenes, 'train_cfg.max_epochs=3', 'default_hooks.logger.interval=1')
    with open(tmp_path / 'out', 'w') as out:
        training = subprocess.Popen(
            [*map(str, command), *more], env=ENV, cwd=ROOT, stdout=out, stderr=out, start_new_session=True
        )
        for _ in range(1200):
            if (tmp_path / 'epoch_1.pth').is_file() and (tmp_path / 'last_checkpoint').is_file():
                break
            assert training.poll() is None, (tmp_path / 'out').read_text()[-2000:]
            time.sleep(0.1)
        os.killpg(training.pid, signal.SIGKILL)
        assert training.wait() == -signal.SIGKILL
    done = run(*command, '--resume', *more)
    log = done.stdout + done.stderr
    assert 'resumed epoch: ' in log and (tmp_path / 'epoch_3.pth').is_file()
    assert re.search(r'Epoch\(train\)\s+\[3\]\[', log) and not re.search(r'Epoch\(train\)\s+\[1\]\[', log)


def test_two_processes_train_and_a_rank_that_dies_ends_the_job(scenes, tmp_path):
    ENV['PORT'] = '29621'
    one_epoch = options(scenes, 'train_cfg.max_epochs=1')
    done = run('bash', 'tools/dist_train.sh', CONFIG, 2, '--work-dir', tmp_path, *one_epoch)
    assert (tmp_path / 'epoch_1.pth').is_file() and '2 processes' in done.stdout
    (tmp_path / 'dies.py').write_text(
        'import os\nfrom mmdet.registry import HOOKS\nfrom mmengine.hooks import Hook\n\n\n'
        '@HOOKS.register_module()\nclass Dies(Hook):\n'
        '    def before_train_iter(self, *args, **kwargs):\n'
        '        if os.environ["RANK"] == "1":\n            os._exit(7)\n'
    )
    ENV['PYTHONPATH'] = str(tmp_path)
    (tmp_path / 'dying.py').write_text(
        f'_base_ = [{str(CONFIG)!r}]\n'
        'custom_hooks = [dict(type="Dies")]\n'
        'custom_imports = dict(imports=["mmroad.bdd100k.det", "dies"], allow_failed_imports=False)\n'
    )
    train = [
        'bash',
        'tools/dist_train.sh',
        tmp_path / 'dying.py',
        2,
        '--work-dir',
        tmp_path / 'b',
        *one_epoch,
    ]
    ENV['PORT'] = '29622'
    died = run(*train, check=False, timeout=200)
    assert died.returncode != 0
    assert re.search(r'rank\s*: 1|local_rank: 1', died.stderr) and re.search(r'exitcode\s*: 7', died.stderr)


def test_an_image_that_cannot_be_read_is_left_out_and_told(scenes, checkpoint, tmp_path):
    """All others are written and scored; the exit status says that not all was done."""
    here = shutil.copytree(scenes, tmp_path / 'scenes')
    (here / 'images/100k/val/val-00002.jpg').write_bytes(b'')
    done = run(
        sys.executable, 'tools/test.py', CONFIG, checkpoint, '--work-dir', tmp_path / 'w', '--format-dir',
        tmp_path / 'out', '--show-dir', tmp_path / 'shown', *options(here), check=False,
    )  # fmt: skip
    assert done.returncode == 1 and '1 images could not be read; everything else was done' in done.stderr
    assert 'val-00002.jpg: the file is empty' in done.stdout + done.stderr
    assert '6 of its 7 frames are run and scored' in done.stdout + done.stderr
    frames = json.loads((tmp_path / 'out/det.json').read_text())['frames']
    assert [frame['name'] for frame in frames] == [f'val-{i:05}.jpg' for i in (0, 1, 3, 4, 5, 6)]
    assert len(list((tmp_path / 'shown').rglob('*.jpg'))) == 6
    assert {row['image_id'] for row in json.loads((tmp_path / 'out/det.coco.json').read_text())} <= {
        1,
        2,
        4,
        5,
        6,
        7,
    }


def test_pictures_and_viewers(scenes, checkpoint, tmp_path):
    run(
        sys.executable, 'tools/test.py', CONFIG, checkpoint, '--work-dir', tmp_path / 'w',
        '--show-dir', tmp_path / 'shown', *options(scenes),
    )  # fmt: skip
    assert len(list((tmp_path / 'shown').rglob('*.jpg'))) == 7
    run(
        sys.executable, '-m', 'mmroad', 'browse', CONFIG, '--out', tmp_path / 's', '--num', 2,
        *options(scenes),
    )  # fmt: skip
    assert len(list((tmp_path / 's').glob('*.jpg'))) == 2
    images = scenes / 'images/100k/val'
    run(sys.executable, '-m', 'mmroad', 'infer', CONFIG, checkpoint, images, '--out', tmp_path / 'i')
    assert len(list((tmp_path / 'i/pictures').iterdir())) == len(list(images.iterdir())) == 7
    assert len(json.loads((tmp_path / 'i/det.json').read_text())['frames']) == 7
    printed = run(sys.executable, '-m', 'mmroad', 'config', CONFIG, '--cfg-options', 'log_level=ERROR')
    assert "log_level = 'ERROR'" in printed.stdout and 'FasterRCNN' in printed.stdout


def test_wrong_commands_say_what_is_wrong(tmp_path):
    wrong = run(sys.executable, 'tools/test.py', CONFIG, 'none', '--format-only', check=False)
    assert wrong.returncode == 2 and '--format-only needs --format-dir OUT' in wrong.stderr
    unknown = run(sys.executable, 'tools/train.py', 'retinanet_r50', check=False)
    assert unknown.returncode != 0 and 'near: retinanet_r50_fpn' in unknown.stderr
    usage = run('bash', 'tools/dist_train.sh', check=False)
    assert usage.returncode != 0 and 'usage: dist_train.sh CONFIG GPUS' in usage.stderr
