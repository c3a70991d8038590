"""What this room needs beyond the package's requirements."""

from __future__ import annotations

import importlib.util


def need(*packages: str) -> None:
    """Refuse to go on without packages; says what to install."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise ImportError(f'{" and ".join(missing)} is not installed: pip install {" ".join(missing)}')
