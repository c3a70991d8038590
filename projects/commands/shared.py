"""Options that several commands have, under the same names and words."""

from __future__ import annotations

import argparse


class Options(argparse.Action):
    """``key=value`` pairs; the values are read once the config is known (`merge_options`)."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        bad = [v for v in values if '=' not in v]
        if bad:
            parser.error(f'{option_string} takes key=value pairs, not {" ".join(bad)}')
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), *values])


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file, or name of a model (`mmroad list`)')


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--cfg-options', nargs='+', action=Options, metavar='KEY=VALUE', help='changes to the config'
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='read a checkpoint that is not weights alone (runs code in it)',
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--device', help='cpu, cuda, cuda:1, ... (default: the GPU where there is one)')


def use_device(device: str | None) -> str:
    """The device of a run: the one that is asked for, else the GPU where there is one. Says which."""
    from ..zoo.models import default_device, device_name

    device = device or default_device()
    print(f'running on {device_name(device)}', flush=True)
    return device


def add_amp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--amp', action='store_true', help='compute in bfloat16, faster and less exact')


def add_runtime(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--runtime',
        choices=('onnxruntime', 'openvino'),
        help='what runs an .onnx file (default: onnxruntime)',
    )


def add_out(
    parser: argparse.ArgumentParser, help: str, *, default: str | None = None, required: bool = True
) -> None:
    """``--out``: the folder or file that is written."""
    parser.add_argument('--out', required=required and default is None, default=default, help=help)


def add_words(parser: argparse.ArgumentParser, name: str) -> argparse._ArgumentGroup:
    """The options of `vocabulary_of`, ``name`` for the words themselves; returns their group."""
    group = parser.add_argument_group('open vocabulary')
    which = group.add_mutually_exclusive_group()
    which.add_argument('--vocabulary', help='.safetensors file of named class embeddings')
    which.add_argument(name, help='comma list (NAME or NAME=OTHER); see `mmroad vocabulary --help`')
    group.add_argument(
        '--embeddings',
        action='append',
        metavar='FILE[:NAMES]',
        help=f"where {name} are looked up (default: the checkpoint's own classifier)",
    )
    group.add_argument(
        '--encoder', choices=('open_clip', 'transformers'), help=f'for {name} that are nowhere'
    )
    return group


def vocabulary_of(args: argparse.Namespace, words: str, checkpoint: str):
    """The vocabulary that the options of `add_words` describe."""
    from ..detic.make_vocabulary import make_vocabulary
    from ..detic.vocabulary import load_vocabulary

    if args.vocabulary:
        return load_vocabulary(args.vocabulary)
    sources = args.embeddings or ([] if args.encoder else [checkpoint])
    return make_vocabulary(words, sources, args.encoder)[0]
