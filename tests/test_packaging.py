"""A wheel holds every module and every config of the tree, under the import name."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp('wheel')
    source = tmp_path / 'source'  # setuptools writes beside what it builds
    source.mkdir()
    for name in ('projects', 'configs'):
        shutil.copytree(ROOT / name, source / name)
    shutil.copytree(ROOT / 'requirements', source / 'requirements')
    for name in ('setup.py', 'setup.cfg', 'pyproject.toml', 'README.md', 'LICENSE', 'MANIFEST.in'):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '--no-index']
    done = subprocess.run([*build, '-w', tmp_path, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob('*.whl')
    return wheel


def test_wheel_is_complete(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {f'mmroad/{file.relative_to(ROOT / "projects")}' for file in (ROOT / 'projects').rglob('*.py')}
    configs = {f'mmroad/{file.relative_to(ROOT)}' for file in (ROOT / 'configs').rglob('*.py')}
    page = {f'mmroad/report/page/{file.name}' for file in (ROOT / 'projects/report/page').iterdir()}
    assert (modules | configs | page) - names == set() and 'mmroad/report/page/index.html' in page
    assert not [name for name in names if name.startswith(('projects/', 'tests/'))]
    (metadata,) = (name for name in names if name.endswith('.dist-info/METADATA'))
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    assert 'Requires-Dist: onedl-mmdetection<3.6,>=3.5.1' in text
    assert "Requires-Dist: scalabel==0.3.1; extra == 'official'" in text.replace('"', "'")
    (points,) = (name for name in names if name.endswith('entry_points.txt'))
    assert 'mmroad = mmroad.commands:main' in zipfile.ZipFile(wheel).read(points).decode()


@pytest.mark.slow
def test_the_wheel_works_outside_the_checkout(wheel, tmp_path):
    """Train, test, infer and score a small set in another environment, which has only the packages of this one."""
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', tmp_path / 'env'], check=True)
    python = tmp_path / 'env/bin/python'
    (place,) = (tmp_path / 'env').glob('lib/python*/site-packages')
    zipfile.ZipFile(wheel).extractall(place)
    (place / 'packages.pth').write_text(f'{sysconfig.get_path("purelib")}\n')
    work = tmp_path / 'elsewhere'
    work.mkdir()

    def mmroad(*command):
        done = subprocess.run(
            [python, '-m', 'mmroad', *map(str, command)], cwd=work, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    found = subprocess.run(
        [python, '-c', 'import mmroad; print(mmroad.__file__)'], cwd=work, capture_output=True
    )
    assert str(place) in found.stdout.decode()
    mmroad('data', 'road-scenes', '--out', 'data/road_scenes', '--train', 4, '--val', 2, '--ood', 0)
    config, options = (
        'faster_rcnn_r18_fpn_quickstart',
        ['train_cfg.max_epochs=1', 'train_dataloader.num_workers=0'],
    )
    mmroad('train', config, '--cfg-options', *options)
    weights = next((work / f'work_dirs/{config}').glob('epoch_1.pth'))
    mmroad('test', config, weights, '--format-only', '--format-dir', 'out')
    truth = 'data/road_scenes/labels/det_20/det_val.json'
    assert 'OVERALL' in mmroad('eval', '-t', 'det', '-g', truth, '-r', 'out/det.json')
    mmroad('infer', config, weights, 'data/road_scenes/images/100k/val', '--out', 'seen')
    assert (work / 'seen/det.json').is_file()
