"""`cam tables`: the paper's tables beside what was measured."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("measurements", nargs=-1, type=click.Path(path_type=Path), metavar="[JSON]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "csv", "json"]),
    default="markdown",
    show_default=True,
    help="How the tables are written.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to this file, do not print."
)
def tables(measurements: tuple[Path, ...], form: str, output: Path | None) -> None:
    """Put what was measured beside the paper's ILSVRC tables.

    JSON are the files that cam evaluate --json wrote; without any, the tables show the paper's
    numbers and 'not measured'.
    """
    from cam.files import atomic_path
    from cam.localization.tables import comparison_rows, read_measurements, render

    measured = [one for path in measurements for one in read_measurements(path)]
    text = render(comparison_rows(measured), form)  # type: ignore[arg-type]
    if output is None:
        click.echo(text, nl=False)
        return
    with atomic_path(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    click.echo(f"written to {output}")
