"""`cam localize`: boxes from heat maps, or from photographs by the model's maps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cam.cli.options import (
    PATH,
    ChosenClasses,
    ChosenNetwork,
    box_options,
    class_options,
    json_option,
    network_options,
    output_option,
    show_note,
    style_options,
)
from cam.cli.pictures import PictureRun
from cam.errors import CamError
from cam.explain.located import LocatedClass, heat_map_levels, locate, save_located
from cam.explain.styles import Style
from cam.localization.boxes import BoxRule
from cam.pictures.reading import read_picture

__all__ = ["localize", "print_located"]

_MOST_PRINTED = 10


@dataclass(frozen=True)
class _Request:
    """What to look for, in what, and how to write it."""

    network: ChosenNetwork
    classes: ChosenClasses
    style: Style
    rule: BoxRule
    colormap: str | None
    photograph: Path | None
    as_json: bool


@click.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@click.option("--heatmap", is_flag=True, help="The pictures are grey heat maps, not photographs.")
@click.option(
    "--colormap", help="The pictures are heat maps in these colours: jet, or another of OpenCV's."
)
@click.option("--on", "photograph", type=PATH, help="Draw a heat map's boxes on this.")
@box_options
@class_options(top=1)
@style_options
@network_options
@output_option("cam-localize", "Folder for the results, one folder in it for each picture.")
@json_option
def localize(pictures: tuple[str, ...], heatmap: bool, output: Path, **options: Any) -> int:
    """Find boxes in photographs, or in heat maps.

    Every PICTURE (a picture, folder, glob, list, table or .tar file) is a photograph, whose heat
    maps the model makes, unless --heatmap or --colormap says that it is a heat map itself. For each
    picture a folder with boxes.txt (x1 y1 x2 y2, one a line, largest first), boxes_original.txt (x
    y w h, all on one line, as the original writes them), the picture with the boxes (boxes.png) and
    the grey heat map (heatmap.png). For a photograph each class has its own, named
    topN_NAME_boxes.txt and so on, with --class NAME_boxes.txt.
    """
    request = _Request(**options)
    is_heat_map = heatmap or request.colormap is not None
    if request.photograph is not None and (not is_heat_map or len(pictures) > 1):
        raise CamError("--on is for one heat map (--heatmap or --colormap)")
    run = PictureRun(pictures, output)
    return _in_heat_maps(run, request) if is_heat_map else _in_photographs(run, request)


def _in_heat_maps(run: PictureRun, request: _Request) -> int:
    results = []
    for one in run:
        levels = heat_map_levels(one.picture, one.path, request.colormap)
        picture = one.picture if request.photograph is None else read_picture(request.photograph)
        if picture.shape[:2] != levels.shape:
            raise CamError(
                f"{request.photograph} has {picture.shape[1]}x{picture.shape[0]} pixels and the "
                f"heat map {one.name} {levels.shape[1]}x{levels.shape[0]}; boxes need both at one "
                "size"
            )
        located = [LocatedClass("", levels, request.rule.boxes(levels))]
        save_located(one.folder, picture, located)
        results.append(_report(one.name, one.folder, located, request.as_json))
    return _finish(run, results, request.as_json)


def _in_photographs(run: PictureRun, request: _Request) -> int:
    model = request.network.open()
    show_note(model.network)
    top, classes = request.classes.of(model)
    results = []
    for one in run:
        explanation = model.explain(one.picture, top, request.style, classes=classes)
        located = locate(explanation, request.rule, ranked=classes is None)
        save_located(one.folder, one.picture, located)
        results.append(_report(one.name, one.folder, located, request.as_json))
    return _finish(run, results, request.as_json)


def _finish(run: PictureRun, results: list[dict[str, Any]], as_json: bool) -> int:
    code = run.finish()
    if as_json:
        click.echo(json.dumps(results, indent=2))
    return code


def _report(name: str, folder: Path, located: list[LocatedClass], as_json: bool) -> dict[str, Any]:
    if not as_json:
        print_located(name, folder, located)
    return {
        "picture": name,
        "folder": str(folder),
        "located": [one.to_dict() for one in located],
    }


def print_located(name: str, folder: Path, located: list[LocatedClass]) -> None:
    """Print each class and its boxes."""
    click.echo(f"{name}: x1 y1 x2 y2, written to {folder}")
    for one in located:
        if one.probability is not None:
            click.echo(f"  {one.name} ({one.probability:.4f})")
        for box in one.boxes[:_MOST_PRINTED]:
            click.echo("  {:5d} {:5d} {:5d} {:5d}".format(*box.corners))
        if len(one.boxes) > _MOST_PRINTED:
            click.echo(f"  and {len(one.boxes) - _MOST_PRINTED} smaller ones")
        if not one.boxes:
            click.echo("  no box: nothing stands out")
