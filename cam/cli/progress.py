"""Progress bars: on standard error, and only if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn


class Bar:
    """Is told how many of something are done; shows nothing itself.

    Attributes
    ----------
    advanced : int
        How many were done since the bar is shown.
    """

    def __init__(self) -> None:
        self.advanced = 0

    def begin(self, done: int, total: int) -> None:
        """Start with what was done before, which does not count for the rate."""

    def advance(self, count: int) -> None:
        """Add to what is done."""
        self.advanced += count

    def move(self, done: int, total: int | None) -> None:
        """Say what is done in all."""


class _ShownBar(Bar):
    """A bar on a terminal."""

    def __init__(self, shown: Progress, description: str, total: int | None) -> None:
        super().__init__()
        self._shown = shown
        self._task = shown.add_task(description, total=total)

    def begin(self, done: int, total: int) -> None:
        self._shown.reset(self._task, total=total, completed=done)

    def advance(self, count: int) -> None:
        super().advance(count)
        self._shown.advance(self._task, count)

    def move(self, done: int, total: int | None) -> None:
        self._shown.update(self._task, completed=done, total=total)


def bar_console() -> Console:
    """Return the console for a bar: standard error, or none where that is not a terminal."""
    from rich.console import Console

    # Silent as a whole: a bar that is told not to show prints an empty line before rich 15.
    return Console(stderr=True, quiet=not sys.stderr.isatty())


@contextmanager
def progress_bar(
    description: str,
    total: int | None = None,
    *,
    of_bytes: bool = False,
    rate: bool = False,
    stays: bool = False,
) -> Iterator[Bar]:
    """Show a bar while the block runs, and after it if it stays.

    Parameters
    ----------
    description : str
        What stands before it.
    total : int, optional
        How many there are, if that is known.
    of_bytes : bool
        Whether bytes are counted.
    rate : bool
        Whether it says how many are done in a second: pictures, or bytes.
    stays : bool
        Whether it stays when the block is done.
    """
    if not sys.stderr.isatty():
        yield Bar()
        return
    from rich import progress

    rates = progress.TransferSpeedColumn() if of_bytes else _rate_column()
    with progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn() if of_bytes else progress.MofNCompleteColumn(),
        *([rates] if rate else []),
        progress.TimeRemainingColumn(),
        console=bar_console(),
        transient=not stays,
    ) as shown:
        yield _ShownBar(shown, description, total)


def _rate_column() -> ProgressColumn:
    """Return a column that says how many pictures are done in a second, once that is known."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.1f} pictures/s")

    return Rate()


def working(what: str) -> AbstractContextManager[object]:
    """Show that something goes on while the block runs, whose end is not known."""
    return bar_console().status(what) if sys.stderr.isatty() else nullcontext()


def download_bar(name: str) -> AbstractContextManager[Bar]:
    """Show a bar for the bytes of a download."""
    return progress_bar(name, of_bytes=True, rate=True, stays=True)
