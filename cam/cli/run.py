"""`cam run` and `cam demo`: pictures in, class activation maps out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cam.cli.options import (
    ChosenClasses,
    ChosenNetwork,
    Command,
    class_options,
    json_option,
    network_options,
    output_option,
    show_note,
    style_options,
)
from cam.cli.pictures import NamedPicture, PictureRun
from cam.cli.timings import Timings
from cam.explain.explanation import Explanation
from cam.explain.styles import Style
from cam.explain.windows import check_display, show_overlays
from cam.matlab.matfiles import save_network

DEMO_PICTURE = Path(__file__).parents[1] / "data" / "coffee.png"


@dataclass(frozen=True)
class _Request:
    """What to make of each picture, and how to show it."""

    network: ChosenNetwork
    classes: ChosenClasses
    style: Style
    output: Path
    as_json: bool = False
    show: bool = False
    timings: bool = False
    save_mat: bool = False


_SHARED_OPTIONS = (
    network_options,
    class_options(),
    style_options,
    output_option("cam-out", "Folder for the results, one folder in it for each picture."),
    click.option("--show", is_flag=True, help="Show each class's overlay in a window."),
    click.option("--timings", is_flag=True, help="Say how long each step took."),
)


def _shared_options(command: Command) -> Command:
    for option in reversed(_SHARED_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@_shared_options
@json_option
@click.option(
    "--save-mat", is_flag=True, help="Write what the original's demo.m loads with online = 0, too."
)
def run(pictures: tuple[str, ...], **options: Any) -> int:
    """Make the class activation maps of pictures.

    A PICTURE is a picture, a folder of them, a glob pattern, a list file (.txt: a path a line), a
    table (.csv with a column path) or a .tar file. For each picture a folder with the montage, each
    class's heat map and overlay, the arrays (maps.npz) and a summary (result.json).
    """
    return _explain(pictures, _Request(**options))


@click.command()
@_shared_options
def demo(**options: Any) -> int:
    """Make the class activation maps of the photograph that comes with the project."""
    return _explain((str(DEMO_PICTURE),), _Request(**options))


def _explain(inputs: tuple[str, ...], request: _Request) -> int:
    clock = Timings()
    if request.show:
        check_display()
    pictures = PictureRun(inputs, request.output)
    with clock.step("network's load"):
        model = request.network.open()
        model.warm_up(request.style)
    top, classes = request.classes.of(model)
    results = []
    for one in pictures:
        with clock.step("picture to maps"):
            result = model.explain(one.picture, top, request.style, classes=classes)
        with clock.step("overlays and files"):
            result.save(one.folder)
            if request.save_mat:
                result.to_mat(one.folder / "features.mat")
                save_network(one.folder / "data_net.mat", model.class_weights, model.class_names)
        results.append({"image": one.name, "folder": str(one.folder), **result.to_dict()})
        _show(one, result, request)
    code = pictures.finish()
    if request.as_json:
        click.echo(json.dumps(results, indent=2))
    show_note(model.network)
    if request.timings:
        clock.print()
    return code


def _show(one: NamedPicture, result: Explanation, request: _Request) -> None:
    if not request.as_json:
        record = result.record
        click.echo(f"{one.name}: {record['model']}, {record['engine']} on {record['device']}")
        click.echo("probability  index (from 0)  class")
        for entry in result.to_dict()["top"]:
            click.echo(f"{entry['probability']:11.4f}  {entry['index']:14d}  {entry['name']}")
        click.echo(f"written to {one.folder}, the montage to {one.folder / 'montage.png'}")
    if request.show:
        show_overlays(result)
