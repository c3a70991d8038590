"""Install mmcv with its compiled operators into the environment whose Python runs this.

mmcv's operators are C++ (and CUDA) built against one torch, and PyPI has only their source. The first of
these ways that gives operators which compute is taken; a line says what each came to:

1. the mmcv that is installed;
2. a wheel kept from an earlier build in $MMROAD_HOME/wheels (default ~/.cache/mmroad/wheels), by mmcv, torch,
   Python and CUDA;
3. a wheel from the places in $MMROAD_MMCV_WHEELS (separated by spaces: folders, pages of links or package
   indexes; {torch} and {cuda} in them become 2120 and cu130 or cpu), then from the index of mmcv's maintainers;
4. the source in few large translation units: the files share the headers, whose parsing is most of the work;
5. the source as it is.

Compiling for CUDA needs a torch built for CUDA, nvcc of the same major version and a GPU, or FORCE_CUDA=1 where
the GPU is elsewhere; TORCH_CUDA_ARCH_LIST defaults to the GPU that is here. MAX_JOBS compilers run at once.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))
import mmcv_units

PUBLISHED = 'https://mmwheels.onedl.ai/{cuda}-torch{torch}/simple/'
TORCHES = ('2.13.0', '2.12.0')  # what set-up may install: the first that has a wheel, else the first
REQUIREMENT = Path(__file__).parents[1] / 'requirements/mmcv.txt'
PROBE = """
import sys, torch
from mmcv.ops import get_compiling_cuda_version, nms, roi_align
for device in sys.argv[1:]:
    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]], dtype=torch.float32, device=device)
    kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), 0.5)[1]
    assert kept.tolist() == [0, 2], f'nms on {device} keeps {kept.tolist()}'
    rois = torch.tensor([[0, 0, 0, 4, 4]], dtype=torch.float32, device=device)
    means = roi_align(torch.ones(1, 1, 8, 8, device=device), rois, 2)
    assert means.flatten().tolist() == [1.0] * 4, f'roi_align on {device} gives {means.flatten().tolist()}'
print(get_compiling_cuda_version())
"""


def say(text: str) -> None:
    """One line of what happens, at once."""
    print(f'mmcv: {text}', flush=True)


# What is here


@functools.cache
def wanted() -> str:
    """The version of mmcv to build, of requirements/mmcv.txt."""
    return re.search(r'^onedl-mmcv==(\S+)', REQUIREMENT.read_text(encoding='utf-8'), re.M)[1]


@functools.cache
def has_gpu() -> bool:
    """Whether NVIDIA's driver answers and lists a GPU."""
    if not shutil.which('nvidia-smi'):
        return False
    done = subprocess.run(['nvidia-smi', '-L'], capture_output=True, text=True)
    return done.returncode == 0 and 'GPU' in done.stdout


@functools.cache
def wants_cuda() -> bool:
    """Whether the operators must run on a GPU: one is here (or FORCE_CUDA=1) and torch was built for CUDA."""
    import torch

    return bool(torch.version.cuda) and (has_gpu() or os.environ.get('FORCE_CUDA') == '1')


def nvcc_version() -> str | None:
    """The CUDA toolkit's version, such as 13.0, or None where there is none."""
    home = os.environ.get('CUDA_HOME') or os.environ.get('CUDA_PATH')
    nvcc = Path(home, 'bin/nvcc') if home else shutil.which('nvcc')
    if not nvcc or not Path(nvcc).exists():
        return None
    done = subprocess.run([nvcc, '--version'], capture_output=True, text=True)
    release = re.search(r'release (\d+\.\d+)', done.stdout)
    return release[1] if release else None


@functools.cache
def compiles_cuda() -> bool:
    """Whether the CUDA operators can be compiled here; says why not where they are wanted."""
    import torch

    if not wants_cuda():
        return False
    version = nvcc_version()
    if version and version.split('.')[0] == torch.version.cuda.split('.')[0]:
        return True
    have = f'the CUDA toolkit here is {version}' if version else 'no CUDA toolkit (nvcc) is here'
    say(f'{have} and torch was built for CUDA {torch.version.cuda}: what is compiled runs on the CPU only')
    return False


def architectures() -> str:
    """What TORCH_CUDA_ARCH_LIST says, or else the GPU that is here, or '' for torch's own choice."""
    import torch

    if 'TORCH_CUDA_ARCH_LIST' in os.environ or not torch.cuda.is_available():
        return os.environ.get('TORCH_CUDA_ARCH_LIST', '')
    return '{}.{}'.format(*torch.cuda.get_device_capability())


def kept_folder() -> Path:
    """Where the wheel for this mmcv, torch, Python and CUDA is kept between environments."""
    import torch

    home = Path(os.environ.get('MMROAD_HOME') or '~/.cache/mmroad').expanduser()
    cuda = 'cpu'
    if compiles_cuda():
        cuda = f'cu{torch.version.cuda}' + ''.join(f'-{a}' for a in re.split(r'[ ;]+', architectures()) if a)
    python = f'{sys.implementation.cache_tag}-{sys.platform}-{platform.machine()}'
    return home / 'wheels' / f'mmcv{wanted()}-torch{torch.__version__}-{python}-{cuda}'


def jobs() -> int:
    """Compilers at once: MAX_JOBS, or one a core, and 3 GiB of memory for each where it can be told."""
    if os.environ.get('MAX_JOBS', '').isdigit():
        return max(1, int(os.environ['MAX_JOBS']))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    try:
        memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (AttributeError, ValueError, OSError):
        return cores
    return max(1, min(cores, memory // (3 << 30)))


# Installing


def run(command: list, log: Path, **kwargs) -> bool:
    """Run a command, its output at the end of ``log``; whether it ended well."""
    with log.open('a', encoding='utf-8') as file:
        print('$', *command, file=file, flush=True)
        return subprocess.run([str(c) for c in command], stdout=file, stderr=file, **kwargs).returncode == 0


def pip(*arguments) -> list:
    """A command of the environment's pip."""
    return [sys.executable, '-m', 'pip', '--disable-pip-version-check', *arguments]


def release(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with: '2.3.6.post1' gives (2, 3, 6)."""
    return tuple(int(number) for number in re.match(r'[\d.]*\d', version)[0].split('.'))


def fits(version: str) -> bool:
    """Whether a version is the wanted one or a later of the same minor version, as pip's ~= has it."""
    return release(version) >= release(wanted()) and release(version)[:2] == release(wanted())[:2]


def installed_version() -> str | None:
    """The version of mmcv that is installed, under its new or its old name."""
    for name in ('onedl-mmcv', 'mmcv'):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def probe(cuda: bool) -> str:
    """'' where mmcv's operators compute, those for the GPU too where ``cuda``, else what is wrong."""
    devices = ['cpu', 'cuda'] if cuda and has_gpu() else ['cpu']
    done = subprocess.run([sys.executable, '-c', PROBE, *devices], capture_output=True, text=True)
    if done.returncode < 0:
        return f'its operators end the process by signal {-done.returncode}'
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f'exit status {done.returncode}'])[-1]
    if cuda and done.stdout.split() == ['not', 'available']:
        return 'it has no CUDA operators'
    return ''


def publishers(cuda: Iterable[str], torch: str, fixed: bool = True) -> Iterator[str]:
    """Places of wheels, most wanted first; without ``fixed`` only those that name the torch they are for."""
    for place in [*os.environ.get('MMROAD_MMCV_WHEELS', '').split(), PUBLISHED]:
        if '{torch}' in place or '{cuda}' in place:
            for tag in cuda:
                yield place.replace('{torch}', torch.split('+')[0].replace('.', '')).replace('{cuda}', tag)
        elif fixed:
            yield place


@functools.cache
def answers(host: str, port: int) -> bool:
    """Whether a server accepts connections within 4 seconds (asked once; says why not)."""
    try:
        socket.create_connection((host, port), timeout=4).close()
    except OSError as error:
        say(f'no answer from {host} ({error})')
        return False
    return True


def fetch(place: str, folder: Path, log: Path) -> Path | None:
    """A wheel of mmcv that fits this Python, from a folder, a page of links or an index, put into ``folder``."""
    url = urlsplit(place)
    if url.scheme in ('http', 'https'):
        where = ['--index-url', place, '--find-links', place]
        port = url.port or {'http': 80, 'https': 443}[url.scheme]
        if url.scheme not in urllib.request.getproxies() and not answers(url.hostname, port):
            return None
    else:
        where = ['--no-index', '--find-links', Path(place.removeprefix('file://')).expanduser()]
        if not where[-1].exists():
            say(f'{where[-1]} of MMROAD_MMCV_WHEELS does not exist')
            return None
    options = ['--no-deps', '--only-binary', ':all:', '--retries', '1', '--timeout', '10', '--dest', folder]
    run(pip('download', *options, *where, f'onedl-mmcv~={wanted()}'), log)
    wheels = [*folder.glob('*.whl')]
    say(f'{wheels[0].name} from {place}' if wheels else f'{place} has no wheel for this Python')
    return wheels[0] if wheels else None


def install(wheel: Path, cuda: bool, log: Path) -> bool:
    """Install a wheel; whether its operators compute. One that does not is taken out again."""
    if run(pip('install', '--force-reinstall', '--no-deps', wheel), log) and run(pip('install', wheel), log):
        problem = probe(cuda)
        if not problem:
            say(f'{installed_version()} is installed and computes')
            return True
        run(pip('uninstall', '--yes', 'onedl-mmcv'), log)
    else:
        problem = f'pip does not install it: see {log}'
    say(f'{wheel.name} is dropped: {problem}')
    return False


def compile_wheel(units: bool, log: Path) -> Path | None:
    """The wheel built from source and kept, or None where it does not compile."""
    cuda, count, keep = compiles_cuda(), jobs(), kept_folder()
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f'mmcv: no place to keep what is compiled ({error}): set MMROAD_HOME to a folder')
    env = {
        **os.environ,
        'CFLAGS': os.environ.get('CFLAGS', '-g0'),
        'MAX_JOBS': str(count),
        'MMCV_WITH_OPS': '1',
    }
    if cuda:
        env['FORCE_CUDA'] = '1'
        if architectures():
            env['TORCH_CUDA_ARCH_LIST'] = architectures()
        # pip's CUDA libraries bring headers that a toolkit without cuSPARSE and the like lacks.
        headers = [
            str(path)
            for path in Path(metadata.distribution('torch').locate_file('nvidia')).glob('cu1*/include')
        ]
        env['CPLUS_INCLUDE_PATH'] = os.pathsep.join(
            [*filter(None, [os.environ.get('CPLUS_INCLUDE_PATH')]), *headers]
        )
    else:
        env |= {'FORCE_CUDA': '0', 'CUDA_VISIBLE_DEVICES': ''}  # mmcv builds for CUDA wherever it sees a GPU
    start, cpu = time.monotonic(), sum(os.times()[2:4])
    with tempfile.TemporaryDirectory(prefix='mmcv-') as name:
        folder = Path(name)
        source = ['--no-deps', '--no-build-isolation', '--no-binary', 'onedl-mmcv', '--dest', folder]
        if not run(pip('download', *source, f'onedl-mmcv=={wanted()}'), log, env=env):
            say(f'the source of mmcv {wanted()} was not found: see {log}')
            return None
        archive = next(folder.glob('*.tar.gz'))
        with tarfile.open(archive) as tar:
            tar.extractall(folder, **({'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}))
        root = folder / archive.name.removesuffix('.tar.gz')
        how = 'as it is (the slow way)'
        if units:
            try:
                how = f'in {mmcv_units.pack(root, count, cuda)} units'
            except (OSError, ValueError) as error:
                say(f'the source cannot be packed: {error}')
                return None
        say(
            f'compiling {wanted()} {how} for {f"CUDA {architectures()}" if cuda else "the CPU"}, {count} at once'
        )
        built = run(
            pip('wheel', '--no-deps', '--no-build-isolation', '-w', folder / 'out', root), log, env=env
        )
        wheels = [*(folder / 'out').glob('*.whl')]
        if not built or not wheels:
            say(f'it does not compile this way: see {log}')
            return None
        part = keep / f'{wheels[0].name}.{os.getpid()}.part'
        shutil.copyfile(wheels[0], part)
        part.replace(keep / wheels[0].name)
    cpu = sum(os.times()[2:4]) - cpu
    say(f'compiled in {time.monotonic() - start:.0f} s ({cpu:.0f} s of CPU), kept in {keep}')
    return keep / wheels[0].name


# The ways


def published(folder: Path, log: Path) -> Iterator[Path]:
    """Wheels that fit, one a place, fetched into ``folder``."""
    import torch

    built_for = [f'cu{torch.version.cuda.replace(".", "")}'] if torch.version.cuda else []
    tags = built_for if wants_cuda() else [*built_for, 'cpu']
    for number, place in enumerate(publishers(tags, torch.__version__)):
        if wheel := fetch(place, folder / str(number), log):
            yield wheel


def kept() -> Iterator[Path]:
    """The wheel of an earlier build."""
    for wheel in sorted(kept_folder().glob('*.whl')):
        say(f'{wheel} is here from an earlier build')
        yield wheel


def compiled(log: Path) -> Iterator[Path]:
    """The wheel built in units, then the one built without."""
    if not any(map(shutil.which, [os.environ.get('CXX', 'c++').split()[0], 'g++'])):
        say('no C++ compiler is here to compile it (Debian, Ubuntu: apt-get install g++)')
        return
    for units in (True, False):
        if wheel := compile_wheel(units, log):
            yield wheel


def prepare(log: Path) -> None:
    """Compile and keep a wheel unless there is one, so that other things can be installed meanwhile."""
    with tempfile.TemporaryDirectory(prefix='mmcv-') as folder:
        for wheels in (kept(), published(Path(folder), log), compiled(log)):
            if next(wheels, None):
                return


def provide(log: Path, any_version: bool) -> bool:
    """Take the first way that gives operators which compute; whether one did."""
    version = installed_version()
    if version and (any_version or fits(version)):
        problem = probe(wants_cuda())
        if not problem:
            say(f'{version} is installed and computes')
            return True
        if any_version:
            sys.exit(
                f'mmcv: {version} of this environment is unusable: {problem}; uninstall it to get another'
            )
    with tempfile.TemporaryDirectory(prefix='mmcv-') as folder:
        ways = [(kept(), compiles_cuda()), (published(Path(folder), log), wants_cuda())]
        if wants_cuda() and not compiles_cuda():
            ways.reverse()  # what was compiled here has no CUDA operators
        for wheels, cuda in [*ways, (compiled(log), compiles_cuda())]:
            for wheel in wheels:
                if install(wheel, cuda, log):
                    return True
                if kept_folder() in wheel.parents:
                    wheel.unlink()
    return False


def choose_torch(log: Path) -> str:
    """The newest torch of those that set-up installs for which a wheel of mmcv is published, else the first."""
    cuda = has_gpu() or os.environ.get('FORCE_CUDA') == '1'
    tags = ['cu130'] if cuda else ['cu130', 'cpu']  # PyPI's torch is built for CUDA 13.0 on Linux
    with tempfile.TemporaryDirectory(prefix='mmcv-') as folder:
        for torch in TORCHES:
            for number, place in enumerate(publishers(tags, torch, fixed=False)):
                if fetch(place, Path(folder, torch, str(number)), log):
                    return torch
    return TORCHES[0]


def main() -> None:
    """Parse the arguments and do what they say; exit with 1 where no way worked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--log', type=Path, default=Path('mmcv.log'), help='output of pip and the compilers')
    parser.add_argument('--any-version', action='store_true', help='an mmcv that is installed stays as it is')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--prepare', action='store_true', help='compile where needed, install nothing')
    what.add_argument(
        '--choose-torch', metavar='FILE', type=Path, help='write a torch that has a wheel to FILE'
    )
    args = parser.parse_args()
    args.log = args.log.absolute()
    if args.choose_torch:
        args.choose_torch.write_text(choose_torch(args.log), encoding='utf-8')
    elif args.prepare:
        prepare(args.log)
    elif not provide(args.log, args.any_version):
        sys.exit(f'mmcv: nothing gave working operators; what pip and the compilers said is in {args.log}')


if __name__ == '__main__':
    main()
