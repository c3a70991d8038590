"""Arrays in .npz files, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .replacing import replacing


def write_arrays(path: str | Path, *, compressed: bool = False, **arrays: np.ndarray) -> None:
    """Write arrays of these names as a ``.npz`` file by `replacing`.

    Args:
        path: The file, under whatever name (``np.savez`` would append ``.npz`` to another suffix).
        compressed: Take less room and more time.
    """
    write: Any = np.savez_compressed if compressed else np.savez
    with replacing(path) as part, open(part, 'wb') as file:
        write(file, **arrays)
