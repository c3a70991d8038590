"""``mmroad COMMAND``: the one command for everything that is run.

A command is a module of this folder (``eval-ood`` is ``eval_ood``, ``data road-scenes`` is ``data/road_scenes``) with
``add_arguments(parser)`` and ``run(args)``, which returns the exit status (None is 0); ``check(parser, args)``, where
there is one, refuses options that do not go together. Heavy imports are inside ``run``.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

#: The commands by what they are for, each with its line of help.
COMMANDS = {
    'Models': {
        'train': 'train a model',
        'test': 'test a model, or write its predictions',
        'infer': 'run a model on images, folders, globs and videos',
        'track': 'follow the objects of a video or a folder of frames',
        'list': 'list the models of the zoo',
        'config': 'print a config with everything it inherits',
        'convert': "convert a published checkpoint to this package's keys",
        'export': 'write a model as ONNX',
        'vocabulary': 'make a vocabulary: class names and their embeddings',
    },
    'Scores and pictures': {
        'eval': 'score BDD100K predictions as the official evaluator does',
        'report': 'write a page of scores, curves, errors and the pictures behind them',
        'eval-anomaly': 'score a folder of anomaly maps',
        'eval-oodis': 'score instances or boxes of unknown objects as OoDIS does',
        'eval-ood': 'tell how well detections of known and unknown scenes are told apart',
        'visualize': 'draw predictions over their images, beside the ground truth',
        'browse': 'look at training samples after their pipeline',
        'plot': "draw a training's curves",
        'scores save': 'save the anomaly scores of a folder of images',
        'scores compare': 'compare saved scores on the same images',
        'scores refine': 'refine saved scores by boxes of unknown objects',
        'scores meta': 'remove segments of saved scores that are not on unknown objects',
        'scores sml': 'measure the statistics of standardized max logits',
        'benchmark anomaly': 'compare methods of anomaly segmentation on every data set below a folder',
        'submit': "write or check what a benchmark's server takes",
    },
    'Measurements': {
        'flops': "count a model's parameters and multiply-adds",
        'speed': "time a model's inference",
        'histogram': 'show what an epoch of class-uniform sampling shows of every class',
        'check': 'print what is installed, and the command that mends each mismatch',
    },
    'Data': {
        'labels convert': 'convert labels between BDD100K, Scalabel, COCO, YOLO, VOC, labelme, CVAT, Label Studio',
        'labels check': 'look through a data set for what may be wrong',
        'labels stats': 'count images and boxes of a data set',
        'data road-scenes': "draw synthetic road scenes in BDD100K's layout",
        'data drawn-shapes': 'draw a small LVIS-like set of shapes',
        'data outlier-masks': "make COCO's outlier masks for anomaly training",
        'data ood-subset': 'choose the out-of-distribution images of COCO or OpenImages',
        'data detic': "make annotation files for Detic's training",
        'data tar-index': 'index tar files, so that images inside are read by position',
        'data tracks': 'convert tracks between BDD100K, MOTChallenge and COCO-VID',
        'data split-ytvis': "hold out a part of YouTube-VIS's training videos",
    },
}


class Parser(argparse.ArgumentParser):
    """Names the nearest option where one is unknown."""

    def error(self, message: str) -> NoReturn:
        for word in message.partition('unrecognized arguments: ')[2].split():
            near = difflib.get_close_matches(word.partition('=')[0], self._option_string_actions, 1)
            if word.startswith('-') and near:
                message += f' (did you mean {near[0]}?)'
                break
        super().error(message)


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit with its status.

    A mistake of the user (an option, a file, a name) ends in one line, with ``--debug`` in a traceback.

    Args:
        argv: The command and its arguments; ``sys.argv`` without the program where None.
    """
    argv = [*(sys.argv[1:] if argv is None else argv)]  # ``list`` is a command here
    if not argv or argv[0] in ('-h', '--help'):
        print(_overview())
        return
    if argv[0] == '--version':
        from .. import __version__

        print(f'mmroad {__version__}')
        return
    name, argv = _find(argv)
    command = importlib.import_module('.' + name.replace('-', '_').replace(' ', '.'), __name__)
    parser = Parser(
        prog=f'mmroad {name}',
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    parser.add_argument('--debug', action='store_true', help='show where an error comes from')
    args = parser.parse_args(argv)
    if hasattr(command, 'check'):
        command.check(parser, args)
    try:
        status = command.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # `mmroad list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except KeyboardInterrupt:
        if args.debug:
            raise
        print('interrupted', file=sys.stderr)
        status = 130
    except (OSError, ValueError, KeyError, ImportError) as error:
        message = _sentence(error)
        if args.debug or not message:
            raise
        raise SystemExit(f'mmroad {name}: {message}') from error
    if status:
        sys.exit(int(status))


def door(*command: str) -> None:
    """A command with the arguments of this program: what a script of ``tools/`` is."""
    main([*command, *sys.argv[1:]])


def _sentence(error: Exception) -> str:
    """An error's message; empty where it is only a name, which says nothing to a user."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return text if ' ' in text else ''


def _find(argv: list[str]) -> tuple[str, list[str]]:
    """The command's name, of one word or two, and what is left of the arguments."""
    names = [name for group in COMMANDS.values() for name in group]
    for words in (2, 1):
        if (name := ' '.join(argv[:words])) in names:
            return name, argv[words:]
    parts = [name for name in names if name.split()[0] == argv[0]]
    if parts and (len(argv) == 1 or argv[1] in ('-h', '--help')):
        print(_overview(parts))
        sys.exit(0 if len(argv) > 1 else 2)
    asked = ' '.join(argv[:2]) if parts else argv[0]
    near = difflib.get_close_matches(asked, parts or names, 3, 0.5)
    hint = f'did you mean {" or ".join(near)}?' if near else '`mmroad --help` lists them'
    print(f'mmroad: there is no command {asked!r}; {hint}', file=sys.stderr)
    sys.exit(2)


def _overview(names: Sequence[str] | None = None) -> str:
    lines = ['usage: mmroad COMMAND [options]     (mmroad COMMAND --help says more)']
    for title, group in COMMANDS.items():
        shown = {name: text for name, text in group.items() if names is None or name in names}
        if shown:
            lines += ['', f'{title}:', *(f'  {name:20}{text}' for name, text in shown.items())]
    return '\n'.join(lines)
