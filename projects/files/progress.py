"""One progress bar for all long work: what it is, how much is done, the rate, and what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

Item = TypeVar('Item')


def bar(unit: str = '', shown: bool = True) -> Progress:
    """A bar of rich, gone when the work is done: title, share, number of the total, rate, time that is left. On
    what is no terminal it draws nothing.

    Args:
        unit: What is counted (``bytes`` are shown as MiB).
        shown: False draws nothing.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps a second, or seconds a step where they are slow."""

        def render(self, task) -> Text:
            speed = task.finished_speed or task.speed
            if not speed:
                return Text('')
            return Text(f'{speed:.3g}/s' if speed >= 1 else f'{1 / speed:.3g} s each')

    counts = [DownloadColumn(), TransferSpeedColumn()] if unit == 'bytes' else [MofNCompleteColumn(), Rate()]
    console = Console(stderr=True)
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        *counts,
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
    )


def track(rows: Iterable[Item], title: str, total: int | None = None) -> Iterator[Item]:
    """Go through rows under a `bar`.

    Args:
        total: How many there are, where they do not say.
    """
    with bar() as progress:
        yield from progress.track(rows, total, description=title)


@contextmanager
def steps(title: str, total: int | None, shown: bool = True) -> Iterator[Callable[[], None]]:
    """A function that tells a `bar` that a step is done, where work cannot be wrapped by `track`."""
    with bar(shown=shown) as progress:
        task = progress.add_task(title, total=total)
        yield lambda: progress.advance(task)
