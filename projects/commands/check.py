"""Print what the Python that runs this has beside what is tested, and the command that mends each mismatch."""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(__file__).resolve().parents[1]
BUILD = ROOT / 'tools/build_mmcv.py'  # in a checkout
PYTHONS = (3, 10), (3, 13)  # the first and the last that are supported
# Import name -> (distributions that provide it, tested version, accepted range, the way to install it).
PIP = f'{sys.executable} -m pip install'
PACKAGES = {
    'torch': (('torch',), '2.13.0', ((2, 4), (2, 15)), f'{PIP} torch==2.13.0'),
    'mmengine': (
        ('onedl-mmengine', 'mmengine'),
        '0.10.12',
        ((0, 10), (0, 11)),
        f"{PIP} 'onedl-mmengine>=0.10.12,<0.11'",
    ),
    'mmcv': (
        ('onedl-mmcv', 'mmcv'),
        '2.3.6',
        ((2, 1), (2, 4)),
        f'{sys.executable} {BUILD}' if BUILD.exists() else f'{PIP} --no-build-isolation onedl-mmcv==2.3.6',
    ),
    'mmdet': (
        ('onedl-mmdetection', 'mmdet'),
        '3.5.1',
        ((3, 3), (3, 6)),
        f"{PIP} 'onedl-mmdetection>=3.5.1,<3.6'",
    ),
    'mmseg': (
        ('onedl-mmsegmentation', 'mmsegmentation'),
        '1.4.2',
        ((1, 2), (1, 5)),
        f"{PIP} 'onedl-mmsegmentation>=1.4.2,<1.5'",
    ),
    'pydantic': (('pydantic',), '1.10.27', ((1, 0), (2, 0)), f"{PIP} 'pydantic<2'"),
    'scalabel': (('scalabel',), '0.3.1', ((0, 3), (0, 4)), f'{PIP} scalabel==0.3.1'),
    'bdd100k': (('bdd100k',), '1.0.1', ((1, 0), (1, 1)), f'{PIP} bdd100k==1.0.1'),
    'pycocotools': (('pycocotools',), '2.0.11', ((2, 0), (2, 1)), f"{PIP} 'pycocotools>=2.0.8'"),
    'msgspec': (('msgspec',), '0.22.0', ((0, 18), (1, 0)), f"{PIP} 'msgspec>=0.18'"),
    'matplotlib': (('matplotlib',), '3.10.9', ((3, 5), (3, 11)), f"{PIP} 'matplotlib<3.11'"),
    'mmroad': (('mmroad',), None, None, f'{PIP} --no-build-isolation --no-deps -e .'),
}


def _build_mmcv():
    """tools/build_mmcv.py of a checkout, else None."""
    if not BUILD.exists():
        return None
    spec: Any = importlib.util.spec_from_file_location('build_mmcv', BUILD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build_mmcv = _build_mmcv()
# What an environment that is used as it is keeps, whatever its version (tools/setup_env.sh --here).
KEPT = [*PACKAGES['torch'][0], 'torchvision', 'torchaudio']
KEPT += [name for package in ('mmengine', 'mmcv', 'mmdet', 'mmseg') for name in PACKAGES[package][0]]


def installed(distributions: tuple[str, ...]) -> tuple[str, str] | None:
    """Name and version of the first of ``distributions`` that is installed, else None."""
    for name in distributions:
        try:
            return name, metadata.version(name)
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


def check_python() -> tuple[str, str, str, str]:
    """One row for the interpreter."""
    version = '.'.join(map(str, sys.version_info[:3]))
    wrong = not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]
    return 'python', version, '3.11', 'PYTHON=python3.11 bash tools/setup_env.sh' if wrong else ''


def check_package(name: str) -> tuple[str, str, str, str]:
    """One row: name, installed, tested, and the command that mends it ('' if nothing is wrong)."""
    distributions, tested, accepted, command = PACKAGES[name]
    found = installed(distributions)
    if found is None:
        return name, 'missing', tested or 'this tree', command
    version = found[1]
    if accepted and not accepted[0] <= release(version)[: len(accepted[0])] < accepted[1]:
        return name, version, tested or '', command
    return name, version, tested or 'this tree', ''


def check_ops() -> tuple[str, str, str, str]:
    """One row for mmcv's compiled operators: whether they compute here, on the GPU too where one is."""
    name, command = "mmcv's operators", PACKAGES['mmcv'][3]
    if build_mmcv is None:
        done = subprocess.run([sys.executable, '-c', 'import mmcv.ops'], capture_output=True, text=True)
        problem = (done.stderr.strip().splitlines() or [''])[-1] if done.returncode else ''
        return name, f'broken: {problem}'[:70] if problem else 'import', 'compute', command if problem else ''
    try:
        cuda = build_mmcv.wants_cuda()
    except ImportError as error:
        return name, f'broken: {error}'[:70], 'compute', command
    if problem := build_mmcv.probe(cuda):
        return name, f'broken: {problem}'[:70], 'compute', command
    return name, 'compute on the GPU' if cuda else 'compute on the CPU', 'compute', ''


def check_mmroad() -> tuple[str, str, str, str]:
    """One row for mmroad: that what Python imports is this tree."""
    name, version, tested, command = check_package('mmroad')
    spec = None if command else importlib.util.find_spec('mmroad')
    if spec and spec.origin and Path(spec.origin).resolve().parent != PACKAGE:
        return name, f'{version} of {Path(spec.origin).parent}', tested, PACKAGES['mmroad'][3]
    return name, version, tested, command


def pins() -> list[str]:
    """``name==version`` of each package that is installed and stays as it is."""
    return [f'{name}=={found[1]}' for name in KEPT if (found := installed((name,)))]


def missing() -> list[str]:
    """Lines of requirements/runtime.txt and official.txt, without the frameworks that are installed under one
    of their names."""
    has = {name for names, *_ in PACKAGES.values() if installed(names) for name in names} & {*KEPT}
    files = (ROOT / f'requirements/{name}.txt' for name in ('runtime', 'official'))
    lines = [line for file in files for line in file.read_text(encoding='utf-8').splitlines()]
    lines = [line for line in lines if line and not line.startswith('#')]
    return [line for line in lines if re.sub(r'[^\w.-].*', '', line).lower() not in has]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--pins', action='store_true', help='print the packages that --here leaves as they are')
    what.add_argument('--missing', action='store_true', help='print the requirements that --here installs')


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 where something needs mending."""
    if args.pins or args.missing:
        print('\n'.join(pins() if args.pins else missing()))
        return 0
    print(f'{sys.executable}, mmroad of {ROOT}\n')
    rows = [check_python(), *(check_package(name) for name in PACKAGES if name != 'mmroad')]
    rows += [check_mmroad(), check_ops()]
    header = ('package', 'installed', 'tested with', '')
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(3)]
    for row in [header, *rows]:
        note = '' if row is header else ('mend' if row[3] else 'ok')
        print('  '.join([*(cell.ljust(width) for cell, width in zip(row, widths)), note]).rstrip())
    broken = [row for row in rows if row[3]]
    for name, *_, command in broken:
        print(f'\n{name}: {command}')
    return bool(broken)


if __name__ == '__main__':  # before mmroad is installed: tools/check_env.py
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
