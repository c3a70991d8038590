"""SciPy's solver of the assignment problem without the rest of ``scipy.optimize``, whose import takes a second."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path


def _solver() -> Callable:
    """``scipy.optimize.linear_sum_assignment``; from its own compiled module where that lies where it always did."""
    try:
        folder = Path(importlib.util.find_spec('scipy').origin).parent / 'optimize'
        (path,) = (p for p in folder.glob('_lsap.*') if p.suffix in ('.so', '.pyd'))
        spec = importlib.util.spec_from_file_location('scipy.optimize._lsap', path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.linear_sum_assignment
    except (AttributeError, ImportError, ValueError):  # another layout of SciPy
        from scipy.optimize import linear_sum_assignment

        return linear_sum_assignment


#: ``linear_sum_assignment(cost, maximize=False)``: rows and columns of the least (or the most) total cost.
linear_sum_assignment = _solver()
