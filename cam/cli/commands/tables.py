"""Put what was measured beside the paper's ILSVRC tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from cam.cli.declaring import argument, as_command, option, output_option
from cam.files import write_text
from cam.localization.tables import TableFormat, comparison_rows, read_measurements, render


@dataclass(frozen=True)
class TablesRequest:
    """What was measured, and how to show it."""

    measurements: tuple[Path, ...] = argument("[JSON]...", default=())
    form: TableFormat = option("How the tables are written.", "--format", default="markdown")
    output: Path | None = output_option("Write to this file, do not print.")


@as_command
def tables(request: TablesRequest) -> None:
    """Put what was measured beside the paper's ILSVRC tables.

    JSON are the files that cam evaluate -o wrote; without any, the tables show the paper's
    numbers and 'not measured'.
    """
    measured = [one for path in request.measurements for one in read_measurements(path)]
    text = render(comparison_rows(measured), request.form)
    if request.output is None:
        click.echo(text, nl=False)
    else:
        write_text(request.output, text)
        click.echo(f"written to {request.output}")
