"""Values of attributes in formats that hold text alone: read back as they were written."""

from __future__ import annotations

import json
from typing import Any


def to_text(value: Any) -> str:
    """A value as text: of a text itself, where it does not look like another value; else its JSON."""
    if isinstance(value, str) and not _is_json(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def from_text(text: str | None) -> Any:
    """The value of a text: what its JSON says, else the text."""
    text = text or ''
    return json.loads(text) if _is_json(text) else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def number(value: float) -> str:
    """A number with all its digits, without a point where it is whole."""
    return str(int(value)) if value == int(value) else repr(float(value))
