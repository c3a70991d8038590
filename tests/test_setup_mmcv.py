"""tools/build_mmcv.py: sources grouped so that no name meets another, and the ways to a wheel in their order."""

import functools
import http.server
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / 'tools/build_mmcv.py'
spec = importlib.util.spec_from_file_location('build_mmcv', TOOL)
build_mmcv = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build_mmcv)
mmcv_units = build_mmcv.mmcv_units


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ('text', 'names'),
    [
        ('int area(int a, int b) {\n  int inner(3);\n  return a * b;\n}', {'area'}),
        ('template <typename T>\nT clip(const T& x, T low = f(0)) {\n}', {'clip'}),
        ('namespace {\nstatic inline void a_b(\n    float *x,\n    int n) {\n}\n}', {'a_b'}),
        ('int declared(int a);\nusing X = int;\n', {'X'}),
        ('int const block = sizeof(long) * 8;\nconst float table[3][2] = {};', {'block', 'table'}),
        ('constexpr int N = 3;\nstatic std::string text = "x";', {'N', 'text'}),
        (
            'struct Point {\n  int x = 3;\n};\nenum class Mode { A };\nclass Grid final {};',
            {'Point', 'Mode', 'Grid'},
        ),
        ('// int gone() {\n/* int\nlost() { */\n#define MACRO(x) { x }', set()),
        ('__global__ void kernel(const int n, float* out) {\n}', {'kernel'}),
    ],
)
def test_definitions(text, names):
    assert mmcv_units.definitions(text) == names


def test_macros():
    assert mmcv_units.macros('#define A 1\n#  define B(x) x\n#ifdef C\n') == {'A', 'B'}


def test_no_unit_gets_a_name_twice(tmp_path):
    write(
        tmp_path,
        {
            'a.cpp': 'int area() {\n}\n' + '//' * 300,
            'b.cpp': 'int area(int a) {\n}\n' + '//' * 200,
            'c.cpp': 'int other() {\n}\n' + '//' * 100,
            'd.cpp': 'int const other = 3;\n',
        },
    )
    units = mmcv_units.group(tmp_path.glob('*.cpp'), 1)
    assert sorted([path.name for path in unit] for unit in units) == [['a.cpp', 'd.cpp'], ['b.cpp', 'c.cpp']]


def test_a_header_that_both_include_is_no_reason_to_part(tmp_path):
    write(
        tmp_path,
        {
            'common/box.hpp': '#pragma once\n#include "point.hpp"\nint area() {\n}\n',
            'common/point.hpp': '#pragma once\nstruct Point {\n};\n',
            'a.cpp': '#include "box.hpp"\n#include <torch/extension.h>\nint a() {\n}\n',
            'b.cpp': '#include <point.hpp>\nint b() {\n}\n',
            'c.cpp': '#include "box.hpp"\n',
            'd.cpp': 'struct Point {\n};\n',  # of its own: not beside the header's
        },
    )
    units = mmcv_units.group(tmp_path.glob('*.cpp'), 1, [tmp_path / 'common'])
    assert [[path.stem for path in unit] for unit in units] in (
        [['a', 'b', 'c'], ['d']],
        [['d'], ['a', 'b', 'c']],
    )


def test_units_are_about_equal_and_some_files_stay_apart(tmp_path):
    for i in range(12):
        write(tmp_path, {f'f{i:02}.cpp': f'int f{i}() {{\n}}\n' + '//' * 100 * (i + 1)})
    units = mmcv_units.group(tmp_path.glob('*.cpp'), 3, apart=['f00', 'f11'])
    sizes = [sum(path.stat().st_size for path in unit) for unit in units if len(unit) > 1]
    assert len(sizes) == 3 and max(sizes) < 1.3 * min(sizes)
    assert [[path.stem for path in unit] for unit in units if len(unit) == 1] == [['f11'], ['f00']]
    assert len({path for unit in units for path in unit}) == 12


@pytest.mark.skipif(not shutil.which('g++'), reason='needs a C++ compiler')
def test_packed_sources_compile_and_compute_as_before(tmp_path):
    """A source tree of mmcv's form: its units give the program that its files give one by one."""
    csrc = 'mmcv/ops/csrc/'
    files = {
        csrc
        + 'common/helper.hpp': '#pragma once\n#define SCALE 2\ninline int twice(int x) {\n  return SCALE * x;\n}\n',
        csrc + 'pytorch/pybind.cpp': '#include <cstdio>\nint a();\nint b();\nint c();\n'
        'int main() {\n  std::printf("%d %d %d", a(), b(), c());\n}\n',
        csrc + 'pytorch/a.cpp': '#include "helper.hpp"\n#define STEP 10\n#define min(x, y) x\n'
        'static int local(int x) {\n  return x + STEP;\n}\nint a() {\n  return local(twice(1));\n}\n',
        csrc
        + 'pytorch/b.cpp': '#include "helper.hpp"\n#include <algorithm>\n#ifdef STEP\n#error leaks\n#endif\n'
        'int b() {\n  return std::min(twice(3), 100);\n}\n',
        csrc
        + 'pytorch/cpu/c.cpp': '#include "helper.hpp"\nstatic int local(int x) {\n  return x * SCALE;\n}\n'
        'int c() {\n  return local(7);\n}\n',
    }

    def compiled(root):
        sources = [*(root / csrc / 'pytorch').rglob('*.cpp')]
        command = [
            'g++',
            '-O0',
            f'-I{root / csrc / "common"}',
            f'-I{root / csrc / "pytorch"}',
            '-o',
            root / 'run',
        ]
        subprocess.run([*command, *sources], check=True)
        return subprocess.run([root / 'run'], capture_output=True, text=True).stdout, len(sources)

    assert compiled(write(tmp_path / 'plain', files)) == ('12 6 14', 4)
    count = mmcv_units.pack(write(tmp_path / 'units', files), jobs=1, cuda=False)
    assert compiled(tmp_path / 'units') == ('12 6 14', count) and count == 2


def test_cuda_sources_are_packed_apart_from_the_others(tmp_path):
    folder = write(
        tmp_path,
        {
            'mmcv/ops/csrc/pytorch/pybind.cpp': 'int a() {\n}\n',
            **{
                f'mmcv/ops/csrc/pytorch/cuda/{n}.cu': f'int {n}() {{\n}}\n'
                for n in ('a', 'b', 'filtered_lrelu')
            },
            **{
                f'mmcv/ops/csrc/pytorch/cuda/{n}.cu': 'int const threads = 8;\n'
                for n in ('nms', 'nms_rotated')
            },
            'mmcv/ops/csrc/pytorch/cuda/cudabind.cpp': 'int cudabind() {\n}\n',
        },
    )
    count = mmcv_units.pack(folder, 2, True)
    cuda = folder / 'mmcv/ops/csrc/pytorch/cuda'
    units = [path.read_text() for path in cuda.glob('*.cu')]
    assert count == len(units) + 2 and len(units) == 5  # and pybind, cudabind
    assert [text.count('#include') for text in units if 'filtered_lrelu' in text] == [1]
    assert not [text for text in units if '"nms.cu' in text and '"nms_rotated.cu' in text]
    assert {path.name for path in cuda.glob('*.cpp')} == {'cudabind.cpp'}


def test_a_tree_of_another_form_is_named(tmp_path):
    with pytest.raises(ValueError, match='pybind.cpp'):
        mmcv_units.pack(tmp_path, 2, False)


# Wheels


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv('MMROAD_HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('FORCE_CUDA', '0')
    for name in ('MMROAD_MMCV_WHEELS', 'PIP_EXTRA_INDEX_URL', 'PIP_FIND_LINKS', 'http_proxy', 'HTTP_PROXY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('PIP_CONFIG_FILE', os.devnull)  # no other index
    monkeypatch.setattr(build_mmcv, 'PUBLISHED', 'http://127.0.0.1:9/{cuda}-torch{torch}/simple/')
    for function in vars(build_mmcv).values():
        if hasattr(function, 'cache_clear'):
            function.cache_clear()
    return tmp_path / 'home'


def wheel(folder, version='2.3.6', module=''):
    """A wheel of the name onedl-mmcv with nothing compiled in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'onedl_mmcv-{version}-py3-none-any.whl'
    info = f'onedl_mmcv-{version}.dist-info'
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('mmcv/__init__.py', module)
        file.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\nName: onedl-mmcv\nVersion: {version}\n')
        file.writestr(
            f'{info}/WHEEL', 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n'
        )
        file.writestr(f'{info}/RECORD', '')
    return path


@pytest.fixture
def server(tmp_path):
    """A folder served over HTTP on localhost, and its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / 'www')
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        yield tmp_path / 'www', f'http://127.0.0.1:{http_server.server_port}'
        http_server.shutdown()


def test_places_in_order_with_torch_and_cuda_filled_in(home, monkeypatch):
    monkeypatch.setenv('MMROAD_MMCV_WHEELS', '/wheels http://here/{torch}/{cuda}')
    assert [*build_mmcv.publishers(['cu130', 'cpu'], '2.12.0+cu130')] == [
        '/wheels',
        'http://here/2120/cu130',
        'http://here/2120/cpu',
        'http://127.0.0.1:9/cu130-torch2120/simple/',
        'http://127.0.0.1:9/cpu-torch2120/simple/',
    ]
    assert '/wheels' not in build_mmcv.publishers(['cpu'], '2.12.0', fixed=False)


def test_a_wheel_comes_from_a_folder_an_index_or_a_page(home, server, tmp_path, capsys):
    www, address = server
    log = tmp_path / 'log'
    wheel(www / 'cpu-torch2120/simple/onedl-mmcv', '2.3.7')
    assert build_mmcv.fetch(str(www / 'cpu-torch2120/simple/onedl-mmcv'), tmp_path / 'a', log).name.endswith(
        'any.whl'
    )
    index = f'{address}/cpu-torch2120/simple/'
    assert build_mmcv.fetch(index, tmp_path / 'b', log).name == 'onedl_mmcv-2.3.7-py3-none-any.whl'
    assert build_mmcv.fetch(f'{index}onedl-mmcv/', tmp_path / 'c', log)
    assert f'from {index}' in capsys.readouterr().out


def test_what_has_no_wheel_is_said_and_passed(home, server, tmp_path, capsys):
    www, address = server
    wheel(www / 'old', '2.3.5')
    wheel(www / 'new', '2.4.0')
    with socket.socket() as closed:
        closed.bind(('127.0.0.1', 0))
        nobody = f'http://127.0.0.1:{closed.getsockname()[1]}/'
        for place in (
            f'{address}/old/',
            f'{address}/new/',
            f'{address}/none/',
            str(tmp_path / 'gone'),
            nobody,
            nobody,
        ):
            assert build_mmcv.fetch(place, tmp_path / 'into', tmp_path / 'log') is None
    said = capsys.readouterr().out
    assert [
        part in said for part in ('/old/ has no', '/new/ has no', '/none/ has no', 'gone', 'refused')
    ] == [True] * 5
    assert said.count('no answer') == 1  # a server that is not there is asked once


def test_the_torch_that_has_a_wheel_is_chosen(home, server, tmp_path, monkeypatch):
    www, address = server
    monkeypatch.setattr(build_mmcv, 'has_gpu', lambda: False)
    assert build_mmcv.choose_torch(tmp_path / 'log') == build_mmcv.TORCHES[0]
    wheel(www / 'cpu-torch2120/simple/onedl-mmcv', '2.3.7')
    monkeypatch.setenv('MMROAD_MMCV_WHEELS', address + '/{cuda}-torch{torch}/simple/')
    assert build_mmcv.choose_torch(tmp_path / 'log') == '2.12.0'
    wheel(www / 'cu130-torch2130/simple/onedl-mmcv')
    assert build_mmcv.choose_torch(tmp_path / 'log') == '2.13.0'


def test_wheels_are_kept_by_what_they_were_built_for(home, monkeypatch):
    torch = pytest.importorskip('torch')
    kept = build_mmcv.kept_folder()
    assert kept.parent == home / 'wheels'
    for part in (
        f'mmcv{build_mmcv.wanted()}-',
        f'torch{torch.__version__}-',
        sys.implementation.cache_tag,
        'cpu',
    ):
        assert part in kept.name
    monkeypatch.setattr(torch, '__version__', '2.4.1')
    assert build_mmcv.kept_folder() != kept
    monkeypatch.setattr(torch.version, 'cuda', '13.0')
    monkeypatch.setattr(build_mmcv, 'compiles_cuda', lambda: True)
    monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', '8.0;9.0')
    assert build_mmcv.kept_folder().name.endswith('-cu13.0-8.0-9.0')


@pytest.fixture
def ways(home, monkeypatch, tmp_path):
    """`provide` with pip and the compilers replaced: (wheels that pip has, those that compute, what happened)."""
    fine, happened = set(), []

    def install(path, cuda, log):
        happened.append(f'{path.parent.name}/{path.name.split("-")[1]}')
        return str(path) in fine

    def compile_wheel(units, log):
        happened.append('units' if units else 'plain')
        return wheel(build_mmcv.kept_folder(), 'units' if units else 'plain')

    monkeypatch.setattr(build_mmcv, 'installed_version', lambda: None)
    monkeypatch.setattr(build_mmcv, 'install', install)
    monkeypatch.setattr(build_mmcv, 'compile_wheel', compile_wheel)
    monkeypatch.setattr(
        build_mmcv, 'fetch', lambda place, folder, log: wheel(folder) if place.startswith('/') else None
    )
    return fine, happened


def test_ways_are_taken_in_order_until_one_computes(ways, monkeypatch, tmp_path):
    fine, happened = ways
    monkeypatch.setenv('MMROAD_MMCV_WHEELS', '/a /b')
    kept = build_mmcv.kept_folder()
    wheel(kept, '2.3.6')
    fine.add(str(kept / 'onedl_mmcv-plain-py3-none-any.whl'))
    assert build_mmcv.provide(tmp_path / 'log', False)
    folder = kept.name
    assert happened == [
        f'{folder}/2.3.6',
        '0/2.3.6',
        '1/2.3.6',
        'units',
        f'{folder}/units',
        'plain',
        f'{folder}/plain',
    ]
    assert [path.name.split('-')[1] for path in kept.iterdir()] == [
        'plain'
    ]  # what does not compute is not kept

    happened.clear()
    assert build_mmcv.provide(tmp_path / 'log', False)
    assert happened == [f'{folder}/plain']


def test_no_way_left(ways, tmp_path):
    assert not build_mmcv.provide(tmp_path / 'log', False)


@pytest.mark.parametrize(
    ('version', 'any_version', 'stays'), [('2.3.6', 0, 1), ('2.3.7', 0, 1), ('2.1.0', 0, 0), ('2.1.0', 1, 1)]
)
def test_an_mmcv_that_computes_stays(ways, tmp_path, monkeypatch, version, any_version, stays):
    monkeypatch.setattr(build_mmcv, 'installed_version', lambda: version)
    monkeypatch.setattr(build_mmcv, 'probe', lambda cuda: '')
    assert build_mmcv.provide(tmp_path / 'log', bool(any_version)) == bool(stays)
    assert bool(ways[1]) != bool(stays)


def test_an_unusable_mmcv_of_an_environment_is_not_replaced(ways, tmp_path, monkeypatch):
    monkeypatch.setattr(build_mmcv, 'installed_version', lambda: '2.1.0')
    monkeypatch.setattr(build_mmcv, 'probe', lambda cuda: 'undefined symbol')
    with pytest.raises(SystemExit, match='2.1.0.*undefined symbol'):
        build_mmcv.provide(tmp_path / 'log', True)
    assert not ways[1]


def test_without_a_compiler_or_a_place_to_keep_it(home, tmp_path, monkeypatch, capsys):
    home.write_text('a file')
    with pytest.raises(SystemExit, match='MMROAD_HOME'):
        build_mmcv.compile_wheel(True, tmp_path / 'log')
    monkeypatch.setattr(build_mmcv.shutil, 'which', lambda name: None)
    assert not [*build_mmcv.compiled(tmp_path / 'log')] and 'no C++ compiler' in capsys.readouterr().out


def test_prepare_compiles_only_where_nothing_is_ready(ways, monkeypatch, tmp_path):
    build_mmcv.prepare(tmp_path / 'log')
    assert ways[1] == ['units']
    ways[1].clear()
    build_mmcv.prepare(tmp_path / 'log')  # kept now
    shutil.rmtree(build_mmcv.kept_folder())
    monkeypatch.setenv('MMROAD_MMCV_WHEELS', '/a')
    build_mmcv.prepare(tmp_path / 'log')
    assert not ways[1]


def test_the_probe_computes_and_names_what_is_wrong(home, tmp_path, monkeypatch):
    assert build_mmcv.probe(False) == ''
    (tmp_path / 'mmcv').mkdir()
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    for text, problem in [
        ('raise ImportError("undefined symbol: _ZN3c10")', 'undefined symbol: _ZN3c10'),
        ('import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)', 'signal 11'),
        ('', "No module named 'mmcv.ops'"),
    ]:
        (tmp_path / 'mmcv/__init__.py').write_text(text)
        assert problem in build_mmcv.probe(False)


def test_a_wheel_without_cuda_operators_is_none_for_a_gpu(home, monkeypatch, tmp_path):
    operators = 'nms = lambda *a: (0, torch.tensor([0, 2]))\nroi_align = lambda *a: torch.ones(1, 1, 2, 2)\n'
    monkeypatch.setattr(build_mmcv, 'has_gpu', lambda: False)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    for version, problem in (('not available', 'it has no CUDA operators'), ('13.0', '')):
        text = f'import torch\n{operators}get_compiling_cuda_version = lambda: {version!r}\n'
        write(tmp_path, {'mmcv/__init__.py': '', 'mmcv/ops.py': text})
        assert build_mmcv.probe(True) == problem and build_mmcv.probe(False) == ''


@pytest.mark.parametrize(
    ('torch_cuda', 'gpu', 'force', 'toolkit', 'wants', 'compiles', 'said'),
    [
        ('13.0', 1, '0', '13.0', 1, 1, ''),
        ('13.0', 1, '0', '12.4', 1, 0, 'toolkit here is 12.4'),
        ('13.0', 1, '0', None, 1, 0, 'no CUDA toolkit'),
        ('13.0', 0, '0', '13.0', 0, 0, ''),
        ('13.0', 0, '1', '13.2', 1, 1, ''),
        (None, 1, '1', '13.0', 0, 0, ''),
    ],
)
def test_when_cuda_is_wanted_and_compiled(
    home, tmp_path, monkeypatch, capsys, torch_cuda, gpu, force, toolkit, wants, compiles, said
):
    programs = {'nvidia-smi': 'echo GPU 0: a card' if gpu else 'exit 9'}
    if toolkit:
        programs['nvcc'] = f'echo Cuda compilation tools, release {toolkit}, V{toolkit}.88'
    for name, text in programs.items():
        write(tmp_path / 'bin', {name: f'#!/bin/sh\n{text}\n'})
        (tmp_path / 'bin' / name).chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    monkeypatch.setenv('FORCE_CUDA', force)
    for name in ('CUDA_HOME', 'CUDA_PATH'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr('torch.version.cuda', torch_cuda)
    assert (build_mmcv.wants_cuda(), build_mmcv.compiles_cuda()) == (bool(wants), bool(compiles))
    assert said in capsys.readouterr().out


def test_jobs_fit_the_cores_and_the_memory(home, monkeypatch):
    monkeypatch.setenv('MAX_JOBS', '5')
    assert build_mmcv.jobs() == 5
    monkeypatch.delenv('MAX_JOBS')
    monkeypatch.setattr(build_mmcv.os, 'sched_getaffinity', lambda pid: set(range(16)), raising=False)
    monkeypatch.setattr(build_mmcv.os, 'sysconf', lambda name: 1024 if 'SIZE' in name else 8 << 20)  # 8 GiB
    assert build_mmcv.jobs() == 2
