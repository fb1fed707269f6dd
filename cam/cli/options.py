"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cam.errors import CamError

if TYPE_CHECKING:
    from cam.caffe.preprocessing import Preprocessing
    from cam.explain.model import CamModel

__all__ = ["load_model", "model_options", "note_embedded", "style_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

_MODEL_OPTIONS = (
    click.option(
        "--model", "-m", help="A model of the table (cam models). Default: the embedded one."
    ),
    click.option(
        "--prototxt", type=click.Path(path_type=Path), help="A deploy network of your own."
    ),
    click.option("--weights", type=click.Path(path_type=Path), help="Its caffemodel."),
    click.option("--last-conv", help="Its last conv blob, if not the one before global pooling."),
    click.option("--class-layer", help="Its inner product with the class weights."),
    click.option(
        "--categories", type=click.Path(path_type=Path), help="Its class names, a text file."
    ),
    click.option(
        "--mean", help="Its mean for each channel, such as 104,117,123. Default: ILSVRC's."
    ),
    click.option("--scale", type=float, help="Factor after the mean is subtracted. Default: 1."),
    click.option(
        "--channels", type=click.Choice(["BGR", "RGB"]), help="Order of its channels. Default: BGR."
    ),
    click.option(
        "--engine",
        help="auto, openvino or caffe (also caffe:cpu, caffe:gpu:N).",
    ),
    click.option("--threads", type=click.IntRange(min=1), help="Threads for the network."),
)

_STYLE_OPTIONS = (
    click.option("--top", type=int, default=5, show_default=True, help="How many classes."),
    click.option(
        "--style",
        default="pycaffe",
        show_default=True,
        help="pycaffe: one center crop, as the pycaffe port; matlab: ten crops, as the original.",
    ),
    click.option(
        "--placement",
        default="stretch",
        show_default=True,
        help="Where the center crop's map lies: stretch over the picture as the port does, or "
        "crop, where it belongs.",
    ),
)


def model_options(command: Command) -> Command:
    """Add the options that say which network runs and on what; `load_model` takes their values."""
    for option in reversed(_MODEL_OPTIONS):
        command = option(command)
    return command


def style_options(command: Command) -> Command:
    """Add ``--top``, ``--style`` and ``--placement``."""
    for option in reversed(_STYLE_OPTIONS):
        command = option(command)
    return command


def load_model(
    model: str | None,
    prototxt: Path | None,
    weights: Path | None,
    last_conv: str | None,
    class_layer: str | None,
    categories: Path | None,
    mean: str | None,
    scale: float | None,
    channels: str | None,
    engine: str | None,
    threads: int | None,
    backward: bool = False,
) -> CamModel:
    """Load the network that the values of `model_options` name.

    Raises
    ------
    CamError
        If they contradict each other, or the network cannot be loaded.
    """
    from cam import zoo
    from cam.explain.model import open_model

    own = (last_conv, class_layer, categories, mean, scale, channels)
    if prototxt is None and weights is None:
        if any(value is not None for value in own):
            raise CamError("options for a network of your own need --prototxt and --weights")
        return open_model(zoo.load_network(model or zoo.EMBEDDED), engine, threads, backward)
    if model is not None:
        raise CamError("--model names a network of the table; --prototxt and --weights another")
    if prototxt is None or weights is None:
        raise CamError("--prototxt and --weights belong together")
    network = zoo.load_files(
        prototxt,
        weights,
        last_conv=last_conv,
        class_layer=class_layer,
        preprocessing=_preprocessing(mean, scale, channels),
        names=None if categories is None else zoo.read_class_names(categories),
    )
    return open_model(network, engine, threads, backward)


def note_embedded(model: CamModel) -> None:
    """Say on standard error that the embedded model is not one of the paper's, if it runs."""
    from cam.zoo.table import EMBEDDED

    if model.name == EMBEDDED:
        click.echo(f"{EMBEDDED} is the embedded model, not one of the paper's networks.", err=True)


def _preprocessing(mean: str | None, scale: float | None, channels: str | None) -> Preprocessing:
    from cam.caffe.preprocessing import ILSVRC_2012_MEAN, Preprocessing

    if mean is None and scale is None and channels is None:
        return ILSVRC_2012_MEAN
    order = channels or "BGR"
    ilsvrc = ILSVRC_2012_MEAN.mean
    values = (ilsvrc if order == "BGR" else ilsvrc[::-1]) if mean is None else _numbers(mean)
    factor = 1.0 if scale is None else scale
    if not all(map(math.isfinite, (*values, factor))):
        raise CamError("--mean and --scale are finite numbers")
    return Preprocessing("RGB" if order == "RGB" else "BGR", values, factor)


def _numbers(mean: str) -> tuple[float, float, float]:
    try:
        values = [float(part) for part in mean.split(",")]
    except ValueError as error:
        raise CamError(f"--mean {mean!r}: numbers with commas between are needed") from error
    if len(values) not in (1, 3):
        raise CamError(f"--mean {mean!r}: one number or three, in the order of the channels")
    first, second, third = values * 3 if len(values) == 1 else values
    return first, second, third
