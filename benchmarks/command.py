"""How the benchmarks' commands end."""

from __future__ import annotations

import sys

import click

from cam.errors import CamError

__all__ = ["run_command"]

EXIT_BAD_INPUT = 2


def run_command(command: click.Command) -> None:
    """Run a command; bad input is one line on standard error, as with `cam`."""
    try:
        command()
    except CamError as error:
        click.echo(f"benchmarks: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
