"""tools/quickstart.sh: its steps fit together, and a second run does only what is not done."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from mmroad.road_scenes.write import write_dataset
from mmroad.zoo.options import merge_options

ROOT = Path(__file__).parents[1]

#: Stands for python: notes what is run and leaves the files that the real tools would leave.
STAND_IN = """#!/bin/sh
"exec" "{python}" "$0" "$@"
import os, sys
from pathlib import Path
args = sys.argv[1:]
if args[0] == '-c':
    os.execv({python!r}, [{python!r}, *args])
with open({notes!r}, 'a') as file:
    file.write(' '.join(args) + '\\n')
after = lambda flag: Path(args[args.index(flag) + 1])
def leave(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
if any(arg.endswith('tools/train.py') for arg in args):
    if os.environ.get('FAIL'):
        sys.exit('out of memory')
    print('Epoch(train) [1][1/1]')
    leave(after('--work-dir') / 'last_checkpoint', 'epoch_8.pth')
if 'tools/test.py' in args:
    leave(after('--format-dir') / 'det.json', '[]')
if 'bdd100k.eval.run' in args:
    leave(after('--out-file'), '{{"AP50": [{{}}, {{"OVERALL": 43.21}}]}}')
"""


def quickstart(*args, path, **env):
    return subprocess.run(
        ['bash', str(ROOT / 'tools/quickstart.sh'), '--no-setup', *map(str, args)],
        capture_output=True,
        text=True,
        env={**os.environ, 'PATH': f'{path}:{os.environ["PATH"]}', **env},
    )


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('quickstart') / 'scenes'
    write_dataset(root, train=4, val=2, ood=1)
    return root


@pytest.fixture
def cores():
    return 1


@pytest.fixture
def stand_in(tmp_path, cores):
    notes = tmp_path / 'notes'
    path = tmp_path / 'bin/python'
    path.parent.mkdir()
    path.write_text(STAND_IN.format(python=sys.executable, notes=str(notes)))
    path.chmod(0o755)
    count = path.with_name('nproc')
    count.write_text(f'#!/bin/sh\necho {cores}\n')
    count.chmod(0o755)

    def commands():
        text = notes.read_text() if notes.exists() else ''
        notes.unlink(missing_ok=True)
        return [line.split() for line in text.splitlines()]

    return path.parent, commands


def test_steps_and_second_run(data, tmp_path, stand_in):
    path, commands = stand_in
    out = tmp_path / 'out'
    done = quickstart('--data-root', data, '--out', out, '--', '--cfg-options', 'a=1', path=path)
    assert done.returncode == 0, done.stderr
    train, test, score, draw, plot, report = commands()
    assert train[0] == 'tools/train.py' and {'--resume', '--amp'} < set(train) and train[-1] == 'a=1'
    assert f'train_dataloader.dataset.data_root={data}/' in train
    assert test[:3] == ['tools/test.py', train[1], 'epoch_8.pth'] and '--format-only' in test
    assert score[score.index('-g') + 1] == str(data / 'labels/det_20/det_val.json')
    assert score[score.index('-r') + 1] == str(out / 'det.json')
    assert draw[:3] == ['-m', 'mmroad', 'visualize'] and plot[:3] == ['-m', 'mmroad', 'plot']
    assert report[:5] == ['-m', 'mmroad', 'report', '-t', 'det'] and report[-1] == str(out / 'report')
    assert f'open {out}/report/index.html' in done.stdout
    assert 'Epoch(train)' in done.stdout and 'AP50 43.2 on the held-out images' in done.stdout
    assert [line for line in done.stdout.splitlines() if 'tools/train.py faster_rcnn_r50' in line]

    again = quickstart('--data-root', data, '--out', out, path=path)
    assert again.returncode == 0 and 'trained already' in again.stdout
    assert [c for c in commands() if c[0] in ('tools/train.py', 'tools/test.py')] == []


@pytest.mark.parametrize('cores', [2, 8])
@pytest.mark.skipif(bool(list(Path('/dev').glob('nvidia[0-9]*'))), reason='one process where a GPU is')
def test_two_processes_use_the_cores(data, tmp_path, stand_in):
    path, commands = stand_in
    done = quickstart('--data-root', data, '--out', tmp_path / 'o u,t', path=path)
    assert done.returncode == 0, done.stderr
    train = commands()[0]
    assert train[:2] == ['-m', 'torch.distributed.run'] and '--nproc_per_node=2' in train
    assert 'train_dataloader.batch_size=2' in train and train[train.index('--launcher') + 1] == 'pytorch'
    assert any(re.fullmatch('--master_port=[0-9]{4,5}', arg) for arg in train)


@pytest.fixture
def trained(data, tmp_path, stand_in):
    """A quick start that is done, with checkpoints in its folder."""
    path, commands = stand_in
    out = tmp_path / 'o u,t'
    assert quickstart('--data-root', data, '--out', out, path=path).returncode == 0
    for epoch in (7, 8):
        (out / f'train/epoch_{epoch}.pth').touch()
    commands()
    return out, path, commands


def test_a_folder_that_was_moved(trained, data, tmp_path):
    out, path, commands = trained
    (out / 'trained').write_text('/where/it/was/train/epoch_8.pth\n')
    moved = out.rename(tmp_path / 'moved')
    os.utime(moved / 'trained')
    (moved / 'det.json').unlink()
    again = quickstart('--data-root', data, '--out', moved, path=path)
    assert again.returncode == 0 and 'trained already' in again.stdout
    (test,) = [c for c in commands() if c[0].startswith('tools/t')]
    assert test[2] == str(moved / 'train/epoch_8.pth')


@pytest.mark.parametrize('text', ['', 'epoch_99.pth'])
def test_a_note_that_names_nothing(trained, data, text):
    """Training goes on from what is there, and does not predict with nothing."""
    out, path, commands = trained
    (out / 'trained').write_text(text)
    again = quickstart('--data-root', data, '--out', out, path=path)
    assert again.returncode == 0, again.stderr
    train = commands()[0]
    assert train[0] == 'tools/train.py' and '--resume' in train
    assert (out / 'trained').read_text() == 'epoch_8.pth'


def test_blanks_and_commas_in_the_folders(data, tmp_path, stand_in):
    path, _ = stand_in
    folder = tmp_path / 'my scenes, v1'
    folder.symlink_to(data)
    done = quickstart('--data-root', folder, '--out', tmp_path / 'my out', path=path)
    assert done.returncode == 0, done.stderr
    cfg = Config(dict(train_dataloader=dict(dataset=dict(data_root='x'))))
    merge_options(cfg, [f'train_dataloader.dataset.data_root={folder}/'])
    assert cfg.train_dataloader.dataset.data_root == f'{folder}/'
    assert f'train_dataloader.dataset.data_root={folder}/' in (tmp_path / 'notes').read_text()


def test_failures_are_told(data, tmp_path, stand_in):
    path, commands = stand_in
    out = tmp_path / 'out'
    failed = quickstart('--data-root', data, '--out', out, path=path, FAIL='1')
    assert failed.returncode == 1
    assert 'out of memory' in failed.stderr and 'quickstart.log' in failed.stderr
    assert len(commands()) == 1  # nothing after the step that failed
    missing = quickstart('--data-root', tmp_path, '--out', out, path=path)
    assert missing.returncode == 1 and 'images/100k/train is missing' in missing.stderr
    unknown = quickstart('--dataroot', data, path=path)
    assert unknown.returncode == 2 and '--dataroot' in unknown.stderr


def test_help():
    done = subprocess.run(
        ['bash', str(ROOT / 'tools/quickstart.sh'), '--help'], capture_output=True, text=True, check=True
    )
    assert '--data-root' in done.stdout and '#' not in done.stdout


@pytest.mark.slow
def test_the_real_thing(data, tmp_path):
    done = quickstart(
        *('--data-root', data, '--out', tmp_path, '--', '--cfg-options', 'train_cfg.max_epochs=1'),
        path=Path(sys.executable).parent,
    )
    assert done.returncode == 0, done.stderr
    assert 'OVERALL' in done.stdout
    assert (tmp_path / 'pictures/contact_sheet.png').is_file()
    assert (tmp_path / 'pictures/training.png').is_file()
    assert len(json.loads((tmp_path / 'det.json').read_text())['frames']) == 2
