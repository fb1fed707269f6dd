"""What commands say on standard error beside their results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from cam import zoo
from cam.caffe.loaded import LoadedNetwork
from cam.cli import exit_codes
from cam.engines.protocol import FLOAT32
from cam.errors import one_line


def report_failures(failures: Iterable[object]) -> int:
    """Say what failed, and return the exit code of a command that did the rest."""
    code = exit_codes.SUCCESS
    for failure in failures:
        say(str(failure))
        code = exit_codes.SOME_FAILED
    return code


def say(line: str) -> None:
    """Say something on standard error."""
    click.echo(f"cam: {one_line(line)}", err=True)


def show_note(network: LoadedNetwork) -> None:
    """Say that the embedded model is not one of the paper's, if it is used."""
    if network.name == zoo.EMBEDDED:
        click.echo(
            f"{zoo.EMBEDDED} is the embedded model, not one of the paper's networks.", err=True
        )


def runs_on(record: Mapping[str, Any]) -> str:
    """Say which engine ran, on what, and in what precision if it is not single precision."""
    precision = record.get("precision", FLOAT32)
    suffix = "" if precision == FLOAT32 else f" in {precision}"
    return f"{record['engine']} on {record['device']}{suffix}"
