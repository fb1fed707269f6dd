"""Groups of options that commands share: one spelling, one default, one meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from cam import zoo
from cam.caffe.loaded import LoadedNetwork
from cam.caffe.preprocessing import Channels, preprocessing_with
from cam.errors import CamError, InvalidValueError
from cam.explain.model import CamModel, open_model
from cam.explain.styles import PLACEMENTS, STYLES, get_style
from cam.localization.boxes import ORIGINAL_THRESHOLDS, PAPER_FRACTION, RULES, BoxRule, Rule

__all__ = [
    "PATH",
    "ChosenClasses",
    "ChosenNetwork",
    "Command",
    "box_options",
    "class_options",
    "engine_option",
    "json_option",
    "network_options",
    "output_option",
    "show_note",
    "style_options",
]

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

PATH = click.Path(path_type=Path)

engine_option = click.option(
    "--engine",
    help="auto, openvino or caffe (also caffe:cpu, caffe:gpu:N). Default: CAM_ENGINE, or auto: "
    "Caffe on a GPU that works, else openvino.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def output_option(default: str | None, what: str, **settings: Any) -> Decorator:
    """Return the option ``-o``."""
    path = None if default is None else Path(default)
    return click.option(
        "-o",
        "--output",
        type=PATH,
        default=path,
        show_default=default is not None,
        help=what,
        **settings,
    )


def _group(argument: str, make: Callable[..., Any], options: Mapping[str, Decorator]) -> Decorator:
    """Return a decorator that adds options and hands their values over as one argument."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def packed(*arguments: Any, **values: Any) -> Any:
            own = {name: values.pop(name) for name in options}
            return command(*arguments, **values, **{argument: make(**own)})

        decorated: Command = packed
        for option in reversed(list(options.values())):
            decorated = option(decorated)
        return decorated

    return decorate


@dataclass(frozen=True)
class ChosenNetwork:
    """The network that a command was asked to run, and on what; nothing is loaded yet.

    Attributes
    ----------
    model : str or None
        A model of the table.
    prototxt, weights, last_conv, class_layer, categories, mean, scale, channels
        A network of the user's own; see `cam.zoo.load_files`.
    engine, threads
        As for `cam.load`.
    """

    model: str | None
    prototxt: Path | None
    weights: Path | None
    last_conv: str | None
    class_layer: str | None
    categories: Path | None
    mean: str | None
    scale: float | None
    channels: Channels | None
    engine: str | None
    threads: int | None

    def load(self) -> LoadedNetwork:
        """Load the network.

        Raises
        ------
        CamError
            If the options contradict each other, or the network cannot be loaded.
        """
        own = (self.last_conv, self.class_layer, self.categories, self.mean, self.scale)
        if self.prototxt is None and self.weights is None:
            if any(value is not None for value in (*own, self.channels)):
                raise CamError("options for a network of your own need --prototxt and --weights")
            return zoo.load_network(self.model or zoo.EMBEDDED)
        if self.model is not None:
            raise CamError("--model names a network of the table; --prototxt and --weights another")
        if self.prototxt is None or self.weights is None:
            raise CamError("--prototxt and --weights belong together")
        names = None if self.categories is None else zoo.read_class_names(self.categories)
        return zoo.load_files(
            self.prototxt,
            self.weights,
            last_conv=self.last_conv,
            class_layer=self.class_layer,
            preprocessing=preprocessing_with(_mean(self.mean), self.scale, self.channels),
            names=names,
        )

    def open(self, backward: bool = False) -> CamModel:
        """Load the network and start its engine, which can run backward if it has to."""
        return open_model(self.load(), self.engine, self.threads, backward)


network_options = _group(
    "network",
    ChosenNetwork,
    {
        "model": click.option(
            "--model", "-m", help="A model of the table (cam models). Default: the embedded one."
        ),
        "prototxt": click.option("--prototxt", type=PATH, help="A deploy network of your own."),
        "weights": click.option("--weights", type=PATH, help="Its caffemodel."),
        "last_conv": click.option(
            "--last-conv", help="Its last conv blob, if not the one before global pooling."
        ),
        "class_layer": click.option(
            "--class-layer", help="Its inner product with the class weights."
        ),
        "categories": click.option(
            "--categories", type=PATH, help="Its class names, a text file with one a line."
        ),
        "mean": click.option(
            "--mean",
            help="Its mean for each channel, such as 104,117,123, or a mean file of Caffe: .npy or "
            ".binaryproto. Default: ILSVRC's.",
        ),
        "scale": click.option(
            "--scale", type=float, help="Factor after the mean is subtracted. Default: 1."
        ),
        "channels": click.option(
            "--channels",
            type=click.Choice(["BGR", "RGB"]),
            help="Order of its channels. Default: BGR.",
        ),
        "engine": engine_option,
        "threads": click.option(
            "--threads", type=click.IntRange(min=1), help="Threads for the network."
        ),
    },
)
"""Adds the options that say which network runs and on what, as the argument ``network``."""


style_options = _group(
    "style",
    get_style,
    {
        "style": click.option(
            "--style",
            default=STYLES[0],
            show_default=True,
            help="pycaffe: one center crop, as the pycaffe port; matlab: ten crops, as the "
            "original.",
        ),
        "placement": click.option(
            "--placement",
            default=PLACEMENTS[0],
            show_default=True,
            help="Where the center crop's map lies: stretch over the picture as the port does, or "
            "crop, where it belongs.",
        ),
    },
)
"""Adds ``--style`` and ``--placement``, as the argument ``style``."""


@dataclass(frozen=True)
class ChosenClasses:
    """The classes that a command was asked for: the top ones, or named ones."""

    top: int
    named: tuple[str, ...]

    def of(self, model: CamModel) -> tuple[int, list[int] | None]:
        """Return how many top classes, and the indices of the named ones if there are any.

        Raises
        ------
        CamError
            If the model has no such classes.
        """
        model.check_top(self.top)
        return self.top, [model.class_index(name) for name in self.named] or None


def class_options(top: int = 5) -> Decorator:
    """Add ``--top`` and ``--class``, as the argument ``classes``."""
    return _group(
        "classes",
        ChosenClasses,
        {
            "top": click.option(
                "--top", type=int, default=top, show_default=True, help="How many top classes."
            ),
            "named": click.option(
                "--class",
                "named",
                multiple=True,
                help="This class in place of the top ones: its index from 0, name or WordNet id. "
                "May be repeated.",
            ),
        },
    )


def _box_rule(rule: Rule, thresholds: str | None, fraction: float | None) -> BoxRule:
    if rule == "paper" and thresholds is not None:
        raise CamError("--thresholds is for --rule original; the paper's rule has --fraction")
    if rule == "original" and fraction is not None:
        raise CamError("--fraction is for --rule paper; the original's rule has --thresholds")
    try:
        levels = None if thresholds is None else tuple(map(int, thresholds.split(",")))
    except ValueError as error:
        raise CamError(f"--thresholds {thresholds!r}: grey levels such as 20,100,110") from error
    return BoxRule(
        rule,
        ORIGINAL_THRESHOLDS if levels is None else levels,
        PAPER_FRACTION if fraction is None else fraction,
    )


box_options = _group(
    "rule",
    _box_rule,
    {
        "rule": click.option(
            "--rule",
            type=click.Choice(RULES),
            default=RULES[0],
            show_default=True,
            help="original: the released box generator, several boxes; paper: one box around the "
            "largest part above a fraction of the maximum.",
        ),
        "thresholds": click.option(
            "--thresholds",
            help="Grey levels for the original's rule. Default: "
            f"{','.join(map(str, ORIGINAL_THRESHOLDS))}.",
        ),
        "fraction": click.option(
            "--fraction",
            type=float,
            help=f"Fraction of the maximum for the paper's rule. Default: {PAPER_FRACTION}.",
        ),
    },
)
"""Adds ``--rule``, ``--thresholds`` and ``--fraction``, as the argument ``rule``."""


def show_note(network: LoadedNetwork) -> None:
    """Say on standard error that the embedded model is not one of the paper's, if it is used."""
    if network.name == zoo.EMBEDDED:
        click.echo(
            f"{zoo.EMBEDDED} is the embedded model, not one of the paper's networks.", err=True
        )


def _mean(text: str | None) -> tuple[float, float, float] | Path | None:
    if text is None or text.endswith((".npy", ".binaryproto")):
        return None if text is None else Path(text)
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidValueError(
            f"--mean {text!r}: numbers with commas between, or a .npy or .binaryproto file"
        ) from error
    if len(values) not in (1, 3):
        raise InvalidValueError(f"--mean {text!r}: one number or three, in the order of channels")
    first, second, third = values * 3 if len(values) == 1 else values
    return first, second, third
