"""`cam saliency`: saliency by backpropagation, the paper's comparison."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cam.cli.localize import print_located
from cam.cli.options import (
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
from cam.explain.located import locate, save_located
from cam.explain.saliency import SMOOTHING, explain_by_backpropagation, smoothed
from cam.explain.styles import Style
from cam.localization.boxes import BoxRule

__all__ = ["saliency", "smooth_option"]

smooth_option = click.option(
    "--smooth",
    type=float,
    default=SMOOTHING,
    show_default=True,
    help="Smooth saliency before boxes are found: a Gaussian's standard deviation as a fraction "
    "of the crop's side. 0 for none.",
)


@dataclass(frozen=True)
class _Request:
    network: ChosenNetwork
    classes: ChosenClasses
    style: Style
    rule: BoxRule
    smooth: float
    as_json: bool


@click.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@class_options(top=1)
@style_options
@box_options
@smooth_option
@network_options
@output_option("cam-saliency", "Folder for the results, one folder in it for each picture.")
@json_option
def saliency(pictures: tuple[str, ...], output: Path, **options: Any) -> int:
    """Make saliency maps by backpropagation (Simonyan et al., 2013). Needs the caffe engine.

    The saliency of a pixel is the gradient of the class's score with respect to it, the largest
    absolute value of its channels. For each PICTURE (a picture, folder, glob, list, table or .tar
    file) a folder with what cam run writes, and with the boxes and grey maps that cam localize
    writes, these of smoothed saliency.
    """
    request = _Request(**options)
    run = PictureRun(pictures, output)
    model = request.network.open(backward=True)
    show_note(model.network)
    top, classes = request.classes.of(model)
    results = []
    for one in run:
        result = explain_by_backpropagation(model, one.picture, top, request.style, classes=classes)
        located = locate(smoothed(result, request.smooth), request.rule, ranked=classes is None)
        result.save(one.folder)
        save_located(one.folder, one.picture, located)
        boxes = [each.to_dict() for each in located]
        results.append(
            {"image": one.name, "folder": str(one.folder), **result.to_dict(), "located": boxes}
        )
        if not request.as_json:
            print_located(one.name, one.folder, located)
    code = run.finish()
    if request.as_json:
        click.echo(json.dumps(results, indent=2))
    return code
