"""Testing several images at a time without padding one to the size of another."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from torch import nn


def same_shapes(values: list[Any], shape: Any, most: int | None = None) -> Iterator[list[int]]:
    """Indices of values of one shape, at most so many together.

    Args:
        shape: The shape of a value.
        most: None is any number.
    """
    groups: dict[Any, list[int]] = {}
    for index, value in enumerate(values):
        groups.setdefault(shape(value), []).append(index)
    for indices in groups.values():
        size = most or len(indices)
        yield from (indices[i : i + size] for i in range(0, len(indices), size))


def split_by_size(model: nn.Module) -> None:
    """Let ``model.test_step`` compute images of different sizes apart, so that each gets what it gets alone."""
    test_step = model.test_step

    @functools.wraps(test_step)
    def run(data: Any) -> list[Any]:
        if not (isinstance(data, dict) and isinstance(data.get('inputs'), list)):
            return test_step(data)
        samples: list[Any] = [None] * len(data['inputs'])
        for group in same_shapes(data['inputs'], lambda image: tuple(image.shape)):
            part = {key: [values[i] for i in group] for key, values in data.items()}
            for index, sample in zip(group, test_step(part), strict=True):
                samples[index] = sample
        return samples

    model.test_step = run
