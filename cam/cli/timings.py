"""How long the steps of a command take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import click


class Timings:
    """Seconds spent in each named step, in the order in which they first came."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a step."""
        start = perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + perf_counter() - start

    def print(self) -> None:
        """Write a line for each step to standard error."""
        for name, seconds in self._seconds.items():
            click.echo(f"{name:<30}{seconds * 1000:8.1f} ms", err=True)
