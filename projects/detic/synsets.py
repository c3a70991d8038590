"""WordNet synsets: of ImageNet's folders, and of COCO's classes among LVIS's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

#: COCO category id -> synset (LVIS's own table; 58, hot dog, as Detic maps it).
COCO_SYNSETS = {
    int(entry.partition(':')[0]): entry.partition(':')[2]
    for entry in """
    1:person.n.01 2:bicycle.n.01 3:car.n.01 4:motorcycle.n.01 5:airplane.n.01 6:bus.n.01 7:train.n.01 8:truck.n.01
    9:boat.n.01 10:traffic_light.n.01 11:fireplug.n.01 13:stop_sign.n.01 14:parking_meter.n.01 15:bench.n.01
    16:bird.n.01 17:cat.n.01 18:dog.n.01 19:horse.n.01 20:sheep.n.01 21:beef.n.01 22:elephant.n.01 23:bear.n.01
    24:zebra.n.01 25:giraffe.n.01 27:backpack.n.01 28:umbrella.n.01 31:bag.n.04 32:necktie.n.01 33:bag.n.06
    34:frisbee.n.01 35:ski.n.01 36:snowboard.n.01 37:ball.n.06 38:kite.n.03 39:baseball_bat.n.01
    40:baseball_glove.n.01 41:skateboard.n.01 42:surfboard.n.01 43:tennis_racket.n.01 44:bottle.n.01
    46:wineglass.n.01 47:cup.n.01 48:fork.n.01 49:knife.n.01 50:spoon.n.01 51:bowl.n.03 52:banana.n.02 53:apple.n.01
    54:sandwich.n.01 55:orange.n.01 56:broccoli.n.01 57:carrot.n.01 58:sausage.n.01 59:pizza.n.01 60:doughnut.n.02
    61:cake.n.03 62:chair.n.01 63:sofa.n.01 64:pot.n.04 65:bed.n.01 67:dining_table.n.01 70:toilet.n.02
    72:television_receiver.n.01 73:laptop.n.01 74:mouse.n.04 75:remote_control.n.01 76:computer_keyboard.n.01
    77:cellular_telephone.n.01 78:microwave.n.02 79:oven.n.01 80:toaster.n.02 81:sink.n.01
    82:electric_refrigerator.n.01 84:book.n.01 85:clock.n.01 86:vase.n.01 87:scissors.n.01 88:teddy.n.01
    89:hand_blower.n.01 90:toothbrush.n.01
    """.split()
}


def read_wordnet(folder: str | Path) -> dict[str, tuple[str, list[str]]]:
    """ImageNet's name of every noun synset (``n`` and eight digits) -> synset (``dog.n.01``) and its words.

    Args:
        folder: WordNet 3.0's ``dict`` folder (or NLTK's ``corpora/wordnet``), with ``data.noun`` and
            ``index.noun``.

    Raises:
        FileNotFoundError: The two files are not there.
        ValueError: A file is of another form; names the line.
    """
    folder = Path(folder)
    for name in ('data.noun', 'index.noun'):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f'{folder / name} not found: give the dict folder of WordNet 3.0 '
                "(wordnet.princeton.edu, or NLTK's corpora/wordnet)"
            )
    senses: dict[str, list[str]] = {}
    synsets = {}
    for place, fields in _lines(folder / 'index.noun'):
        with _named(place):
            senses[fields[0]] = fields[-int(fields[2]) :]
    for place, fields in _lines(folder / 'data.noun'):
        with _named(place):
            words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
            number = senses[words[0].lower()].index(fields[0]) + 1
            synsets[f'n{fields[0]}'] = f'{words[0].lower()}.n.{number:02}', words
    return synsets


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Place and fields of a file's lines, without the license, whose lines begin with a blank."""
    with _named(str(path)):
        lines = path.read_text(encoding='utf-8').splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith(' '):
            yield f'{path}: line {number}', line.split()


@contextlib.contextmanager
def _named(place: str) -> Iterator[None]:
    try:
        yield
    except (LookupError, ValueError) as error:
        raise ValueError(f'{place}: not as in WordNet 3.0 ({type(error).__name__}: {error})') from error
