"""One class under several names: BDD100K's of 2018 and today's."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Other spellings of BDD100K's classes, as the official evaluator reads them.
NAME_MAPPING = {
    'bike': 'bicycle',
    'caravan': 'car',
    'motor': 'motorcycle',
    'person': 'pedestrian',
    'van': 'car',
}
_SHORT = {'light': 'traffic light', 'sign': 'traffic sign'}


def canonical(names: Sequence[str]) -> tuple[str, ...]:
    """Names as they are compared: in lower case, ``_`` and ``-`` as blanks, and 2018's (person, bike, motor) as
    their present ones, where the list does not have both."""
    plain = [re.sub(r'[\s_-]+', ' ', name).strip().lower() for name in names]
    newer = [NAME_MAPPING.get(name) or _SHORT.get(name, name) for name in plain]
    return tuple(new if new == old or new not in plain else old for old, new in zip(plain, newer))
