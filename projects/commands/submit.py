"""Write what a benchmark's server takes, or check one that exists.

    mmroad submit smiyc maps/anomaly --data data/smiyc --method MyMethod --out outputs
    mmroad submit fishyscapes out/anomaly --classes out/classes --data /input --out /output
    mmroad submit bdd100k-det out --out det.json
    mmroad submit bdd100k-sem_seg out --data data/bdd100k/images/10k/test --out sem_seg.zip
    mmroad submit lvis out/results.json --annotations lvis_v1_image_info_test_dev.json --out lvis.json
    mmroad submit ytvis out --annotations test.json --out submission
    mmroad submit oodis maps --threshold 0.5 --data data --out oodis.zip
    mmroad submit smiyc outputs --check --data data/smiyc

What is written is checked too. --data (images) and --annotations (ids) give the names and sizes that are compared. The
exit status is 1 where there are problems, of which a line each is printed; notes are no problems.
"""

from __future__ import annotations

import argparse
from functools import partial

from .shared import add_out

#: Benchmarks with the options that writing needs.
BENCHMARKS = {
    'smiyc': ('data', 'method'),
    'fishyscapes': ('data', 'classes'),
    'oodis': ('threshold',),
    'oodis-det': (),
    'bdd100k-det': (),
    'bdd100k-sem_seg': (),
    'bdd100k-drivable': (),
    'bdd100k-ins_seg': (),
    'bdd100k-box_track': (),
    'lvis': (),
    'ytvis': (),
}
#: Benchmarks whose predictions may lie in several folders.
_SEVERAL = ('smiyc', 'fishyscapes', 'oodis', 'oodis-det')
#: Options of some benchmarks only, and which.
_OF = {
    'method': ('smiyc', 'oodis'),
    'classes': ('fishyscapes',),
    'annotations': ('oodis', 'oodis-det', 'lvis', 'ytvis'),
    'threshold': ('oodis', 'oodis-det'),
    'boxes': ('oodis', 'oodis-det'),
    'data': tuple(name for name in BENCHMARKS if name not in ('lvis', 'ytvis')),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('benchmark', choices=BENCHMARKS, metavar='BENCHMARK', help=', '.join(BENCHMARKS))
    parser.add_argument('source', nargs='+', help='predictions; with --check the submission')
    add_out(parser, 'folder or file that is written', required=False)
    parser.add_argument('--check', action='store_true', help='write nothing, check SOURCE')
    parser.add_argument('--data', help="folder of the images; smiyc: the folder of its tracks' folders")
    parser.add_argument(
        '--annotations', help="lvis, ytvis: file of the set's ids; oodis: the benchmark's expected_files.txt"
    )
    parser.add_argument(
        '--method', help="smiyc, oodis: the method's name (smiyc: a folder of the submission)"
    )
    parser.add_argument(
        '--threshold', type=float, help='oodis: the score from which pixels of maps are unknown'
    )
    parser.add_argument(
        '--boxes', help='oodis: det.json whose boxes cut unknown pixels into instances (default: components)'
    )
    parser.add_argument('--classes', help='fishyscapes: folder of predicted classes, NAME.png')


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    for option, names in _OF.items():
        if getattr(args, option) is not None and args.benchmark not in names:
            parser.error(f'--{option} is of {", ".join(names)}')
    if args.check:
        if any(v is not None for v in (args.out, args.method, args.classes, args.threshold, args.boxes)):
            parser.error(
                '--check writes nothing: leave out --out, --method, --classes, --threshold and --boxes'
            )
        if len(args.source) > 1:
            parser.error('--check takes one submission')
        return
    needed = ('out', *BENCHMARKS[args.benchmark])
    if missing := [f'--{name}' for name in needed if getattr(args, name) is None]:
        parser.error(f'{args.benchmark} needs {" and ".join(missing)} (or --check)')
    if args.benchmark not in _SEVERAL and len(args.source) > 1:
        parser.error(f'{args.benchmark} takes one folder or file of predictions')


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from ..submissions.files import Request

    write, verify = _parts(args.benchmark)
    paths = {
        name: getattr(args, name) and Path(getattr(args, name))
        for name in ('out', 'data', 'classes', 'annotations', 'boxes')
    }
    sources = [Path(source) for source in args.source]
    request = Request(sources, method=args.method, threshold=args.threshold, **paths)
    target = request.sources[0]
    if not args.check:
        target = write(request)
        print(f'written: {target}')
    found = verify(target, request)
    print(found.text())
    return bool(found.problems)


def _parts(benchmark: str):
    """What writes and what checks a benchmark's submission."""
    if benchmark.startswith('bdd100k-'):
        from ..submissions import bdd100k

        task = benchmark.removeprefix('bdd100k-')
        return partial(bdd100k.write, task), partial(bdd100k.check, task)
    if benchmark in ('lvis', 'ytvis'):
        from ..submissions import coco_results as module
    elif benchmark.startswith('oodis'):
        from ..submissions import oodis as module  # type: ignore[no-redef]
    else:
        from ..submissions import anomaly_maps as module  # type: ignore[no-redef]
    name = benchmark.replace('-', '_')
    return getattr(module, f'write_{name}'), getattr(module, f'check_{name}')
