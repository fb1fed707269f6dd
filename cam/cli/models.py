"""`cam models`: what is there and what is missing; fetching and checking weights."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from cam import zoo
from cam.cli.options import PATH
from cam.cli.progress import download_bar
from cam.errors import CamError
from cam.zoo import weights
from cam.zoo.download import check_recorded


@click.group(invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List the models, fetch the original weights, and check files."""
    if ctx.invoked_subcommand is None:
        _print_table()


def _print_table() -> None:

    table = Table("model", "weights", "file", "what", box=box.SIMPLE_HEAD, pad_edge=False)
    for model in zoo.ZOO:
        try:
            path = zoo.find_weights(model)
            state = f"{path.stat().st_size / 1e6:.1f} MB in {path.parent}"
        except CamError:
            state = "missing"
        table.add_row(model.name, state, model.caffemodel, model.note)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    folders = ", ".join(map(str, zoo.weights_folders()))
    click.echo(f"Weights are looked for in {folders}.")
    click.echo("Missing ones: cam models fetch NAME")


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--from", "source", help="A file or address to take instead of the original one.")
def fetch(names: tuple[str, ...], source: str | None) -> None:
    """Download original weights, check them and record their SHA-256.

    An interrupted download goes on where it stopped.
    """
    chosen = [zoo.get(name) for name in names]
    if source and len(chosen) > 1:
        raise CamError("--from gives one file; name one model with it")
    for model in chosen:
        with download_bar(model.name) as progress:
            checked = weights.fetch(model, source, progress)
        click.echo(f"{checked.path}: fits {model.prototxt}, SHA-256 {checked.sha256}")


@models.command()
@click.argument("file", type=PATH)
@click.option("--model", "-m", help="The model that it should be of. Default: by its file name.")
def check(file: Path, model: str | None) -> None:
    """Check that a caffemodel fits its network and is the one that was first seen."""
    if not file.exists():
        raise CamError(f"cannot read {file}: there is no such file")
    chosen = zoo.get(model) if model else _model_of(file)
    checked = weights.check_weights(file, chosen)
    recorded = check_recorded(file, checked.sha256)
    click.echo(f"{file}: fits {chosen.prototxt}, {checked.parameters} weights")
    known = "as recorded" if recorded else "no record to compare with"
    click.echo(f"SHA-256 {checked.sha256}, {known}")


def _model_of(file: Path) -> zoo.ZooModel:

    for model in zoo.ZOO:
        if model.caffemodel == file.name:
            return model
    raise CamError(f"{file}: not the file name of a model of the table; name one with --model")
