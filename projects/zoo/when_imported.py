"""Functions that run as soon as a module of a framework has been imported, without importing it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import Any


class _Finder:
    """Finds one module as Python would, and calls a function when it has run."""

    def __init__(self, name: str, then: Callable[[Any], None]) -> None:
        self.name, self.then = name, then

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_call(module: Any) -> None:
                run(module)
                self.then(module)

            spec.loader.exec_module = run_and_call  # type: ignore[method-assign]  # of this spec alone
        return spec


def when_imported(name: str, then: Callable[[Any], None]) -> None:
    """Call a function with a module: now where it is imported already, else when it is. Asking twice calls once."""
    if name in sys.modules:
        then(sys.modules[name])
    elif not any(isinstance(f, _Finder) and (f.name, f.then) == (name, then) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder(name, then))
