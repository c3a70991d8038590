"""A wheel holds every module and every config of the tree, under the import name."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_wheel_is_complete(tmp_path):
    source = tmp_path / 'source'  # setuptools writes beside what it builds
    source.mkdir()
    for name in ('projects', 'configs'):
        shutil.copytree(ROOT / name, source / name)
    for name in ('setup.py', 'setup.cfg', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '--no-index']
    done = subprocess.run([*build, '-w', tmp_path, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob('*.whl')
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {f'mmroad/{file.relative_to(ROOT / "projects")}' for file in (ROOT / 'projects').rglob('*.py')}
    configs = {f'mmroad/{file.relative_to(ROOT)}' for file in (ROOT / 'configs').rglob('*.py')}
    assert (modules | configs) - names == set()
    assert not [name for name in names if name.startswith(('projects/', 'tests/'))]
