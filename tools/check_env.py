"""Print what is installed beside what is tested, and the command that mends each mismatch."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from importlib import metadata

# Import name -> (distributions that provide it, tested version, accepted range, the way to install it).
PIP = f'{sys.executable} -m pip install'
PACKAGES = {
    'torch': (('torch',), '2.13.0', ((2, 4), (2, 14)), f'{PIP} -r requirements/build.txt'),
    'mmengine': (
        ('onedl-mmengine', 'mmengine'),
        '0.10.12',
        ((0, 10), (0, 11)),
        f'{PIP} -r requirements/runtime.txt',
    ),
    'mmcv': (
        ('onedl-mmcv', 'mmcv'),
        '2.3.6',
        ((2, 1), (2, 4)),
        f'CFLAGS=-g0 {PIP} --no-build-isolation --force-reinstall --no-deps -r requirements/mmcv.txt',
    ),
    'mmdet': (
        ('onedl-mmdetection', 'mmdet'),
        '3.5.1',
        ((3, 3), (3, 6)),
        f'{PIP} -r requirements/runtime.txt',
    ),
    'mmseg': (
        ('onedl-mmsegmentation', 'mmsegmentation'),
        '1.4.2',
        ((1, 2), (1, 5)),
        f'{PIP} -r requirements/runtime.txt',
    ),
    'pydantic': (('pydantic',), '1.10.27', ((1, 0), (2, 0)), f"{PIP} 'pydantic<2'"),
    'scalabel': (('scalabel',), '0.3.1', ((0, 3), (0, 4)), f'{PIP} scalabel==0.3.1'),
    'bdd100k': (('bdd100k',), '1.0.1', ((1, 0), (1, 1)), f'{PIP} bdd100k==1.0.1'),
    'pycocotools': (('pycocotools',), '2.0.11', ((2, 0), (2, 1)), f'{PIP} -r requirements/runtime.txt'),
    'msgspec': (('msgspec',), '0.22.0', ((0, 18), (1, 0)), f'{PIP} -r requirements/runtime.txt'),
    'matplotlib': (('matplotlib',), '3.10.9', ((3, 5), (3, 11)), f"{PIP} 'matplotlib<3.11'"),
    'mmroad': (('mmroad',), None, None, f'{PIP} --no-build-isolation --no-deps -e .'),
}


def installed_version(distributions: tuple[str, ...]) -> str | None:
    """The version of the first of ``distributions`` that is installed, else None."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``'2.13.0+cpu'`` gives (2, 13, 0)."""
    numbers = []
    for part in version.split('+')[0].split('.'):
        digits = ''.join(c for c in part if c.isdigit())
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def check_package(name: str) -> tuple[str, str, str, str]:
    """One row: name, installed, tested, and the command that mends it ('' if nothing is wrong)."""
    distributions, tested, accepted, command = PACKAGES[name]
    version = installed_version(distributions)
    if version is None:
        return name, 'missing', tested or 'this tree', command
    if accepted and not accepted[0] <= release(version)[: len(accepted[0])] < accepted[1]:
        return name, version, tested, command
    return name, version, tested or 'this tree', ''


def check_ops() -> tuple[str, str, str, str]:
    """One row for mmcv's compiled operators: loaded or not, CPU or CUDA, against the GPU present."""
    name = "mmcv's operators"
    code = 'from mmcv.ops import get_compiling_cuda_version as v; print(v())'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    command = PACKAGES['mmcv'][3]
    if done.returncode:
        return name, f'broken: {(done.stderr.strip().splitlines() or ["?"])[-1][:60]}', 'load', command
    compiled = done.stdout.strip().splitlines()[-1]
    cuda = compiled not in ('not available', '')
    if (
        shutil.which('nvidia-smi')
        and subprocess.run(['nvidia-smi'], capture_output=True).returncode == 0
        and not cuda
    ):
        return name, 'CPU only, and a GPU is here', 'CUDA', f'FORCE_CUDA=1 {command}'
    return name, f'CUDA {compiled}' if cuda else 'CPU only (no GPU here)', 'CPU', ''


def main() -> None:
    """Print the table; exit with 1 where something needs mending."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    python = '.'.join(map(str, sys.version_info[:3]))
    wrong = not (3, 10) <= sys.version_info[:2] <= (3, 12)
    rows = [('python', python, '3.11', 'PYTHON=python3.11 bash tools/setup_env.sh' if wrong else '')]
    rows += [check_package(name) for name in PACKAGES]
    rows.append(check_ops())
    header = ('package', 'installed', 'tested with', '')
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(3)]
    for row in [header, *rows]:
        note = '' if row is header else ('mend' if row[3] else 'ok')
        print(
            '  '.join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), note, sep='  '
        )
    broken = [row for row in rows if row[3]]
    for name, *_, command in broken:
        print(f'\n{name}: {command}')
    sys.exit(bool(broken))


if __name__ == '__main__':
    main()
