"""`cam run` and `cam demo`: pictures in, class activation maps out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cam.cli.options import load_model, model_options, note_embedded, style_options
from cam.cli.timings import Timings

if TYPE_CHECKING:
    from cam.explain.explanation import Explanation

DEMO_PICTURE = Path(__file__).parents[1] / "data" / "coffee.png"


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@model_options
@style_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("cam-out"),
    show_default=True,
    help="Folder for the results, one folder in it for each picture.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--show", is_flag=True, help="Show each class's overlay in a window.")
@click.option("--timings", is_flag=True, help="Say how long each step took.")
@click.option(
    "--save-mat", is_flag=True, help="Write what the original's demo.m loads with online = 0, too."
)
def run(
    images: tuple[str, ...],
    top: int,
    style: str,
    placement: str,
    output: Path,
    as_json: bool,
    show: bool,
    timings: bool,
    save_mat: bool,
    **network: Any,
) -> None:
    """Make the class activation maps of pictures.

    For each picture a folder with the montage, each class's heat map and overlay, the arrays
    (maps.npz) and a summary (result.json).
    """
    if show:
        from cam.explain.windows import check_display

        check_display()
    clock = Timings()
    with clock.step("imports"):
        import cam.explain.model  # noqa: F401
    with clock.step("network's load"):
        model = load_model(**network)
        model.warm_up(style)
    results = []
    for image, folder in result_folders(images, output).items():
        with clock.step("picture to maps"):
            result = model.explain(image, top, style, placement)
        with clock.step("overlays and files"):
            result.save(folder)
        if save_mat:
            from cam.matlab.matfiles import save_network

            result.to_mat(folder / "features.mat")
            save_network(folder / "data_net.mat", model.class_weights, model.class_names)
        results.append({"image": image, "folder": str(folder), **result.to_dict()})
        if not as_json:
            _print_result(image, folder, result)
        if show:
            from cam.explain.windows import show_overlays

            show_overlays(result)
    if as_json:
        click.echo(json.dumps(results, indent=2))
    note_embedded(model)
    if timings:
        clock.print()


@click.command()
@model_options
@style_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("cam-out"),
    show_default=True,
    help="Folder for the results.",
)
@click.option("--show", is_flag=True, help="Show each class's overlay in a window.")
@click.option("--timings", is_flag=True, help="Say how long each step took.")
@click.pass_context
def demo(ctx: click.Context, /, **options: Any) -> None:
    """Make the class activation maps of the photograph that comes with the project."""
    ctx.invoke(run, images=(str(DEMO_PICTURE),), as_json=False, save_mat=False, **options)


def result_folders(images: tuple[str, ...], output: Path) -> dict[str, Path]:
    """Give each picture a folder named after it, with a number where a name comes twice."""
    folders: dict[str, Path] = {}
    for image in images:
        stem = Path(image).stem or "picture"
        taken = set(folders.values())
        folder, number = output / stem, 2
        while folder in taken:
            folder, number = output / f"{stem}-{number}", number + 1
        folders[image] = folder
    return folders


def _print_result(image: str, folder: Path, result: Explanation) -> None:
    record = result.record
    click.echo(f"{image}: {record['model']}, {record['engine']} on {record['device']}")
    click.echo("probability  index (from 0)  class")
    for entry in result.to_dict()["top"]:
        click.echo(f"{entry['probability']:11.4f}  {entry['index']:14d}  {entry['name']}")
    click.echo(f"written to {folder}, the montage to {folder / 'montage.png'}")
