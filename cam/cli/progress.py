"""Progress bars: on standard error, and only if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from rich import progress
from rich.console import Console
from rich.text import Text


class Rate(progress.ProgressColumn):
    """How many pictures are done in a second."""

    def render(self, task: progress.Task) -> Text:
        """Say it as soon as it is known."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} pictures/s")


class Bar:
    """Shows how many of something are done.

    Attributes
    ----------
    advanced : int
        How many were done since the bar is shown.
    """

    def __init__(self, shown: progress.Progress, description: str, total: int | None) -> None:
        self._shown = shown
        self._task = shown.add_task(description, total=total)
        self.advanced = 0

    def begin(self, done: int, total: int) -> None:
        """Start with what was done before, which does not count for the rate."""
        self._shown.reset(self._task, total=total, completed=done)

    def advance(self, count: int) -> None:
        """Add to what is done."""
        self.advanced += count
        self._shown.advance(self._task, count)

    def move(self, done: int, total: int | None) -> None:
        """Say what is done in all."""
        self._shown.update(self._task, completed=done, total=total)


def bar_console() -> Console:
    """Return the console for a bar: standard error, or none where that is not a terminal."""
    # Silent as a whole: a bar that is told not to show prints an empty line before rich 15.
    return Console(stderr=True, quiet=not sys.stderr.isatty())


@contextmanager
def progress_bar(
    description: str,
    total: int | None = None,
    count: type[progress.ProgressColumn] = progress.MofNCompleteColumn,
    rate: type[progress.ProgressColumn] | None = None,
    stays: bool = False,
) -> Iterator[Bar]:
    """Show a bar while the block runs, and after it if it stays.

    Parameters
    ----------
    description : str
        What stands before it.
    total : int, optional
        How many there are, if that is known.
    count, rate : type of rich.progress.ProgressColumn
        What stands behind it, before the time left.
    stays : bool
        Whether it stays when the block is done.
    """
    columns = [progress.TextColumn("{task.description}"), progress.BarColumn(), count()]
    columns += [rate()] if rate else []
    columns += [progress.TimeRemainingColumn()]
    with progress.Progress(*columns, console=bar_console(), transient=not stays) as shown:
        yield Bar(shown, description, total)


def download_bar(name: str) -> AbstractContextManager[Bar]:
    """Show a bar for the bytes of a download."""
    count, rate = progress.DownloadColumn, progress.TransferSpeedColumn
    return progress_bar(name, count=count, rate=rate, stays=True)
