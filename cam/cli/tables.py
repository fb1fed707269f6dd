"""`cam tables`: the paper's tables beside what was measured."""

from __future__ import annotations

from pathlib import Path

import click

from cam.cli.options import PATH
from cam.files import write_text
from cam.localization.tables import TableFormat, comparison_rows, read_measurements, render


@click.command()
@click.argument("measurements", nargs=-1, type=PATH, metavar="[JSON]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "csv", "json"]),
    default="markdown",
    show_default=True,
    help="How the tables are written.",
)
@click.option("-o", "--output", type=PATH, help="Write to this file, do not print.")
def tables(measurements: tuple[Path, ...], form: TableFormat, output: Path | None) -> None:
    """Put what was measured beside the paper's ILSVRC tables.

    JSON are the files that cam evaluate --json wrote; without any, the tables show the paper's
    numbers and 'not measured'.
    """
    measured = [one for path in measurements for one in read_measurements(path)]
    text = render(comparison_rows(measured), form)
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(output, text)
    click.echo(f"written to {output}")
