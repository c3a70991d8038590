"""``mmroad labels ...``: labels of boxes converted, checked and counted."""

from __future__ import annotations

import argparse


def add_source(parser: argparse.ArgumentParser) -> None:
    """The labels that are read, and what may be said of them."""
    parser.add_argument('source', help='label file, or folder of a data set')
    parser.add_argument('--from', dest='form', help='its format, where it is not recognized')
    parser.add_argument('--images', help='the folder of the images, where they are not found')


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT."""
    width, _, height = text.lower().partition('x')
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f'{text!r} is no size; write WIDTHxHEIGHT, such as 1280x720')
    return int(width), int(height)


def check_form(parser: argparse.ArgumentParser, form: str | None) -> None:
    """Refuse a format that is none, before anything is read."""
    from ...labels import FORMATS

    if form is not None and form not in FORMATS:
        parser.error(f'{form!r} is no format; known are {", ".join(FORMATS)}')
