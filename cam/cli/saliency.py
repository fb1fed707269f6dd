"""`cam saliency`: saliency by backpropagation, the paper's comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cam.cli.localize import (
    box_options,
    box_rule,
    class_options,
    locate,
    print_boxes,
    save_boxes,
)
from cam.cli.options import load_model, model_options, note_embedded
from cam.cli.run import result_folders

__all__ = ["saliency", "smooth_option"]

smooth_option = click.option(
    "--smooth",
    type=float,
    default=0.02,
    show_default=True,
    help="Smooth saliency before boxes are found: a Gaussian's standard deviation as a fraction "
    "of the crop's side. 0 for none.",
)


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@class_options
@box_options
@smooth_option
@model_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("cam-saliency"),
    show_default=True,
    help="Folder for the results, one folder in it for each picture.",
)
def saliency(
    images: tuple[str, ...],
    top: int,
    class_: str | None,
    style: str,
    placement: str,
    output: Path,
    smooth: float,
    **options: Any,
) -> None:
    """Make saliency maps by backpropagation (Simonyan et al., 2013). Needs the caffe engine.

    The saliency of a pixel is the gradient of the class's score with respect to it, the largest
    absolute value of its channels. For each picture a folder with what cam run writes, and with
    the boxes and grey maps that cam localize writes, these of smoothed saliency.
    """
    from cam.explain.saliency import explain_by_backpropagation, smoothed
    from cam.pictures.reading import read_picture

    how = box_rule(*(options.pop(name) for name in ("rule", "thresholds", "fraction")))
    model = load_model(**options, backward=True)
    note_embedded(model)
    classes = None if class_ is None else [class_]
    for image, folder in result_folders(images, output).items():
        picture = read_picture(image)
        result = explain_by_backpropagation(model, picture, top, style, placement, classes)
        result.save(folder)
        located = locate(smoothed(result, smooth), picture.shape[:2], how, ranked=class_ is None)
        save_boxes(folder, picture, located)
        print_boxes(image, folder, located)
