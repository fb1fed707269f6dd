"""`cam compare-engines`: the two engines held against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cam.fidelity.engine_agreement import Parity


@click.command()
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option(
    "--model", "-m", "names", multiple=True, help="A model of the table; may be repeated."
)
@click.option("--all", "every", is_flag=True, help="All models of the table.")
@click.option("--prototxt", type=click.Path(path_type=Path), help="A deploy network of your own.")
@click.option("--weights", type=click.Path(path_type=Path), help="Its caffemodel.")
@click.option("--seeded", is_flag=True, help="Random weights where a model's own are missing.")
@click.option("--reference", default="caffe", show_default=True, help="The engine to hold against.")
@click.option("--other", default="openvino", show_default=True, help="The engine to check.")
@click.option(
    "--tolerance",
    type=float,
    default=1e-4,
    show_default=True,
    help="The relative difference that a blob may have.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def compare_engines(
    images: tuple[str, ...],
    names: tuple[str, ...],
    every: bool,
    prototxt: Path | None,
    weights: Path | None,
    seeded: bool,
    reference: str,
    other: str,
    tolerance: float,
    as_json: bool,
) -> None:
    """Compare what two engines make of the same files and pictures.

    Without pictures, the photograph that comes with the project is taken. Exit code 0 if every blob
    is within the tolerance, as a share of its largest value, the heat maps are within one grey
    level and the top five classes are the same; 1 otherwise.
    """
    from cam import zoo
    from cam.cli.run import DEMO_PICTURE
    from cam.errors import CamError, MissingFileError
    from cam.fidelity.engine_agreement import compare_engines as compare

    pictures = images or (str(DEMO_PICTURE),)
    networks = {}
    if prototxt is not None and weights is not None:
        networks[prototxt.stem] = zoo.load_files(prototxt, weights)
    elif prototxt is not None or weights is not None:
        raise CamError("--prototxt and --weights belong together")
    chosen = list(zoo.MODELS) if every else list(names or (() if networks else (zoo.EMBEDDED,)))
    for name in chosen:
        try:
            networks[name] = zoo.load_network(name)
        except MissingFileError:
            if not seeded:
                raise
            networks[f"{name} (seeded weights)"] = zoo.load_network(name, seed=0)
    results = {
        title: compare(network, pictures, reference, other, tolerance)
        for title, network in networks.items()
    }
    if as_json:
        click.echo(
            json.dumps({name: _as_dict(parity) for name, parity in results.items()}, indent=2)
        )
    else:
        _print_markdown(results, reference, other)
    if not all(parity.holds for parity in results.values()):
        raise SystemExit(1)


def _as_dict(parity: Parity) -> dict[str, object]:
    return {
        "blobs": {
            blob.blob: {
                "absolute": blob.absolute,
                "relative": blob.relative,
                "largest": blob.largest,
            }
            for blob in parity.blobs
        },
        "same_top_5": parity.same_top,
        "pictures": parity.pictures,
        "grey_levels": parity.grey_levels,
        "holds": parity.holds,
    }


def _print_markdown(results: dict[str, Parity], reference: str, other: str) -> None:
    click.echo(f"{other} against {reference}; relative: of the blob's largest value\n")
    click.echo(
        "| model | blob | absolute | relative | same top 5 | heat map, grey levels | holds |"
    )
    click.echo("| --- | --- | --- | --- | --- | --- | --- |")
    for name, parity in results.items():
        for blob in parity.blobs:
            click.echo(
                f"| {name} | {blob.blob} | {blob.absolute:.1e} | {blob.relative:.1e} | "
                f"{parity.same_top} of {parity.pictures} | {parity.grey_levels} | "
                f"{'yes' if parity.holds else 'no'} |"
            )
