"""Functions that run as soon as, or while, a module of a framework is imported, without importing it."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any


def _nothing(module: Any) -> None:
    pass


class _Finder:
    """Finds one module as Python would, runs it in a context, and calls a function when it has run."""

    def __init__(self, name: str, then: Callable[[Any], None], around: Callable) -> None:
        self.name, self.then, self.around = name, then, around

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_call(module: Any) -> None:
                with self.around():
                    run(module)
                self.then(module)

            spec.loader.exec_module = run_and_call  # type: ignore[method-assign]  # of this spec alone
        return spec


def when_imported(
    name: str,
    then: Callable[[Any], None] = _nothing,
    around: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
) -> None:
    """Call a function with a module: now where it is imported already, else when it is. Asking twice calls once.

    Args:
        name: The module.
        then: What is called with it.
        around: Makes the context in which it is imported, if it is not yet.
    """
    if name in sys.modules:
        then(sys.modules[name])
    elif not any(isinstance(f, _Finder) and (f.name, f.then) == (name, then) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder(name, then, around))
