"""Few large translation units instead of mmcv's many files (for tools/build_mmcv.py).

Nearly all of the time that a file takes is the parsing of torch's headers, which its unit now parses once. What
two files define under one name must stay in two units; a static search finds it, and where it fails the compiler
says so and the files are built one by one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

# CUDA sources that compile for minutes (templates), or whose names meet in ways that a search does not see.
APART = frozenset(
    'filtered_lrelu upfirdn2d_kernel bias_act_cuda line_nms_cuda spconv_ops_cuda fused_spconv_ops_cuda '
    'sparse_indice sparse_maxpool sparse_reordering sparse_pool_ops_cuda'.split()
)


def without_comments(text: str) -> str:
    """C++ source without its comments."""
    return re.sub(r'//[^\n]*|/\*.*?\*/', ' ', text, flags=re.S)


def definitions(text: str) -> set[str]:
    """Names that C++ ``text`` defines outside of functions and classes, found by their form.

    Functions, variables, types and aliases that begin a line; clang-format, which mmcv uses, indents neither
    what is in a namespace nor what follows ``template <...>``.
    """
    text = without_comments(text)
    arguments = r'\((?:[^;{}()]|\([^()]*\))*\)'
    functions = re.findall(
        rf'^[A-Za-z_][\w:<>,&* \t\n]*?[\s*&](\w+)\s*{arguments}\s*(?:const\s*)?\{{', text, re.M
    )
    variables = re.findall(r'^(?:[A-Za-z_][\w:<>]*\s+)+(\w+)(?:\[[^\]]*\])*\s*=', text, re.M)
    types = re.findall(r'^(?:struct|class|union|enum(?: class)?)\s+(\w+)', text, re.M)
    return {*functions, *variables, *types}


def macros(text: str) -> set[str]:
    """Names that C++ ``text`` defines for the preprocessor."""
    return set(re.findall(r'^\s*#\s*define\s+(\w+)', text, re.M))


def names(path: Path, folders: Iterable[Path]) -> dict[str, set[Path]]:
    """What a source defines by itself and through the headers it includes: name -> the files that define it.

    ``folders`` are searched for the headers; those found nowhere (torch's, the system's) are left out.
    """
    found: dict[str, set[Path]] = {}
    todo, seen = [path], set()
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        text = file.read_text(encoding='utf-8')
        for name in definitions(text):
            found.setdefault(name, set()).add(file)
        for header in re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', text, re.M):
            places = (folder / header for folder in (file.parent, *folders))
            todo += [place.resolve() for place in places if place.is_file()][:1]
    return found


def meet(one: dict[str, set[Path]], other: dict[str, set[Path]]) -> bool:
    """Whether a name is defined in a file of one and in another file of the other (what both include is one)."""
    return any(
        not (one[name] <= other[name] or other[name] <= one[name]) for name in one.keys() & other.keys()
    )


def group(
    sources: Iterable[Path], count: int, folders: Iterable[Path] = (), apart: Iterable[str] = ()
) -> list[list[Path]]:
    """Divide sources into about ``count`` units of about equal size; no unit gets a name from two files.

    More units come where names meet. Stems in ``apart`` get units of their own.
    """
    folders, apart = [*folders], {*apart}
    units: list[tuple[list[Path], dict[str, set[Path]]]] = [([], {}) for _ in range(count)]
    alone = []
    sizes = {path: path.stat().st_size for path in sources}
    for path in sorted(sizes, key=lambda path: (-sizes[path], path)):
        if path.stem in apart:
            alone.append([path])
            continue
        own = names(path, folders)
        units.sort(key=lambda unit: sum(sizes[file] for file in unit[0]))
        unit = next((unit for unit in units if not meet(unit[1], own)), ([], {}))
        if not unit[0] and unit not in units:
            units.append(unit)
        unit[0].append(path)
        for name, places in own.items():
            unit[1].setdefault(name, set()).update(places)
    return [sorted(files) for files, _ in units if files] + alone


def write_units(groups: Iterable[list[Path]], folder: Path, suffix: str, shared: set[str]) -> list[Path]:
    """Put each group into one file of ``folder`` that includes its sources, which are renamed to ``*.inc``.

    What a source defines for the preprocessor ends with it, unless a header has the same name (``shared``).
    """
    written = []
    for number, sources in enumerate(groups):
        lines = []
        for source in sources:
            text = without_comments(source.read_text(encoding='utf-8'))
            source.rename(source.with_name(f'{source.name}.inc'))
            lines.append(f'#include "{os.path.relpath(source, folder)}.inc"')
            lines += [f'#undef {name}' for name in sorted({'min', 'max'} | macros(text) - shared)]
        written.append(folder / f'unit_{number:02}{suffix}')
        written[-1].write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return written


def pack(root: Path, jobs: int, cuda: bool) -> int:
    """Rewrite an unpacked source of mmcv to few translation units; the number that will be compiled."""
    csrc = root / 'mmcv/ops/csrc'
    pytorch, common = csrc / 'pytorch', csrc / 'common'
    if not (pytorch / 'pybind.cpp').is_file():
        raise ValueError(f'{root} has no mmcv/ops/csrc/pytorch/pybind.cpp: its sources lie elsewhere')
    folders = [pytorch, common, common / 'cuda']
    headers = [path for path in csrc.rglob('*') if path.suffix in ('.h', '.hpp', '.cuh')]
    shared = set().union(*(macros(path.read_text(encoding='utf-8')) for path in headers))
    units = []
    sources = [*pytorch.glob('*.cpp'), *(pytorch / 'cpu').glob('*.cpp')]
    units += write_units(group(sources, min(max(jobs, 2), 8), folders), pytorch, '.cpp', shared)
    if cuda:
        sources = [*(pytorch / 'cuda').glob('*.cu')]
        units += write_units(group(sources, 4, folders, APART), pytorch / 'cuda', '.cu', shared)
        units += (pytorch / 'cuda').glob('*.cpp')
    return len(units)
