"""Progress bars: on standard error, and only if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress
from rich.console import Console

__all__ = ["bar_console", "download_bar", "progress_bar"]


def bar_console() -> Console:
    """Return the console for a bar: standard error, or none where that is not a terminal."""
    # Silent as a whole: a bar that is told not to show prints an empty line before rich 15.
    return Console(stderr=True, quiet=not sys.stderr.isatty())


@contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how many of something are done; give what adds to the number."""
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=bar_console(), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def download_bar(description: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar for the bytes of a download; give what moves it."""
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=bar_console()) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
