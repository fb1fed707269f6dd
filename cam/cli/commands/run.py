"""Make the class activation maps of pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from cam.cli.declaring import as_command, option, output_option
from cam.cli.drawing import DrawingOptions
from cam.cli.messages import runs_on
from cam.cli.options import ClassOptions, ForwardOptions, StyleOptions
from cam.cli.pictures import FOLDER_FOR_EACH, NamedPicture, PicturesCommand
from cam.cli.timings import Timings
from cam.explain.drawing import Drawing
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel
from cam.explain.saliency import explain_by_backpropagation
from cam.explain.windows import check_display, show_overlays
from cam.matlab import save_network


@dataclass(frozen=True)
class RunOptions(ForwardOptions, ClassOptions, StyleOptions, DrawingOptions):
    """What to make of pictures."""

    output: Path = output_option(FOLDER_FOR_EACH, "cam-out")
    saliency: bool = option(
        "Lay each class's saliency over its map, in colours of its own. Needs the caffe engine."
    )
    show: bool = option("Show each class's overlay in a window.")
    timings: bool = option("Say how long each step took.")
    save_mat: bool = option("Write what the original's demo.m loads with online = 0, too.")


@dataclass(frozen=True)
class RunRequest(RunOptions, PicturesCommand):
    """Which pictures, and what to make of them."""


@as_command
def run(request: RunRequest) -> int:
    """Make the class activation maps of pictures.

    A PICTURE is a picture, a folder of them, a glob pattern, a list file (.txt: a path a line), a
    table (.csv with a column path) or a .tar file. For each picture a folder with the montage, each
    class's heat map and overlay, the arrays (maps.npz) and a summary (result.json).
    """
    return explain_pictures(request)


def explain_pictures(request: RunRequest) -> int:
    """Do what `cam run` does, and return its exit code."""
    clock, style, drawing = Timings(), request.chosen_style, request.drawing
    if request.show:
        check_display()
    pictures = request.find(request.output)
    with clock.step("network's load"):
        model = request.open(backward=request.saliency)
        model.warm_up(style)
    classes = request.chosen_classes(model)

    def explain(one: NamedPicture) -> dict[str, Any]:
        with clock.step("picture to maps"):
            result = model.explain(one.picture, request.top, style, classes=classes)
            result = replace(result, source=one.source)
            salient = _saliency(model, one, result) if request.saliency else None
        with clock.step("overlays and files"):
            result.save(one.folder, drawing, saliency=salient)
        if request.save_mat:
            result.to_mat(one.folder / "features.mat")
            save_network(one.folder / "data_net.mat", model.class_weights, model.class_names)
        if not request.as_json:
            _print_result(one, result, drawing)
        if request.show:
            show_overlays(result, drawing)
        return {"image": one.name, "folder": str(one.folder), **result.to_dict()}

    code = pictures.each(explain, request.as_json, partial(request.show_notes, model.network))
    if request.timings:
        clock.print()
    return code


def _saliency(model: CamModel, one: NamedPicture, result: Explanation) -> Explanation:
    """Return the saliency of the classes of a result."""
    classes = result.indices.tolist()
    return explain_by_backpropagation(model, one.picture, 1, result.style, classes=classes)


def _print_result(one: NamedPicture, result: Explanation, drawing: Drawing) -> None:
    record = result.record
    click.echo(f"{one.name}: {record['model']}, {runs_on(record)}")
    click.echo("probability  index (from 0)  class")
    for entry in result.to_dict()["top"]:
        name = drawing.name(entry["name"])
        click.echo(f"{entry['probability']:11.4f}  {entry['index']:14d}  {name}")
    sheet = one.folder / f"montage.{drawing.format}"
    click.echo(f"written to {one.folder}, the montage to {sheet}")
