"""Progress bars: on standard error, and only if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from cam.zoo.download import Progress

__all__ = ["bar_console", "download_bar"]


def bar_console() -> Console:
    """Return the console for a bar: standard error, or none where that is not a terminal."""
    from rich.console import Console

    # Silent as a whole: a bar that is told not to show prints an empty line before rich 15.
    return Console(stderr=True, quiet=not sys.stderr.isatty())


@contextmanager
def download_bar(description: str) -> Iterator[Progress]:
    """Show a bar for the bytes of a download; give what moves it."""
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=bar_console()) as bar:
        task = bar.add_task(description, total=None)

        def advance(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
