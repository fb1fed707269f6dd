"""List the models, fetch and check their weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from cam import zoo
from cam.cli.declaring import argument, as_command, option
from cam.cli.progress import download_bar
from cam.errors import CamError
from cam.zoo import weights
from cam.zoo.digests import check_recorded


@click.group(invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List the models, fetch the original weights, and check files."""
    if ctx.invoked_subcommand is None:
        _print_models()


def _print_models() -> None:
    missing = []
    for model in zoo.ZOO:
        try:
            state = f"{zoo.find_weights(model).stat().st_size / 1e6:.0f} MB"
        except CamError:
            state = "missing"
            missing.append(model.name)
        click.echo(f"{model.name:<21}{state:<10}{model.note}")
    if missing:
        click.echo(f"\ncam models fetch {' '.join(missing)}")
        click.echo(
            f"or, where {zoo.UPSTREAM} cannot be reached, a file: cam models fetch NAME --from FILE"
        )
    click.echo(f"\nWeights are looked for in {', '.join(map(str, zoo.weights_folders()))}.")


@dataclass(frozen=True)
class FetchRequest:
    """Which weights, and where from."""

    names: tuple[str, ...] = argument("NAME...")
    source: str | None = option("A file or address to take instead of the original one.", "--from")


@models.add_command
@as_command
def fetch(request: FetchRequest) -> None:
    """Download original weights, check them and record their SHA-256.

    An interrupted download goes on where it stopped.
    """
    chosen = [zoo.get(name) for name in request.names]
    if request.source and len(chosen) > 1:
        raise CamError("--from gives one file; name one model with it")
    for model in chosen:
        with download_bar(model.name) as bar:
            checked = weights.fetch(model, request.source, bar.move)
        click.echo(f"{checked.path}: fits {model.prototxt}, SHA-256 {checked.sha256}")
        for note in checked.notes:
            click.echo(f"note: {note}", err=True)


@dataclass(frozen=True)
class CheckRequest:
    """Which file, of which model."""

    file: Path = argument("FILE")
    model: str | None = option(
        "The model that it should be of. Default: by its file name.", "-m", "--model"
    )


@models.add_command
@as_command
def check(request: CheckRequest) -> None:
    """Check that a caffemodel fits its network and is the one that was first seen."""
    file = request.file
    if not file.exists():
        raise CamError(f"cannot read {file}: there is no such file")
    chosen = zoo.get(request.model) if request.model else _model_of(file)
    checked = weights.check_weights(file, chosen)
    known = check_recorded(file, checked.sha256)
    click.echo(f"{file}: fits {chosen.prototxt}, {checked.parameters} weights")
    recorded = "as recorded" if known else "no record to compare with"
    click.echo(f"SHA-256 {checked.sha256}, {recorded}")


def _model_of(file: Path) -> zoo.ZooModel:
    for model in zoo.ZOO:
        if model.caffemodel == file.name:
            return model
    raise CamError(f"{file}: not the file name of a model of the table; name one with --model")
