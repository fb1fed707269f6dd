"""Groups of options that commands share: one spelling, one default, one meaning.

Each is a dataclass for a command's own to inherit from; see `cam.cli.declaring`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from cam import zoo
from cam.caffe.loaded import LoadedNetwork
from cam.caffe.preprocessing import Channels, preprocessing_with
from cam.cli.completing import complete_classes, complete_models, complete_styles
from cam.cli.declaring import Count, option
from cam.cli.messages import show_note
from cam.cli.progress import working
from cam.engines.protocol import BFLOAT16, FLOAT32
from cam.errors import CamError, InvalidValueError
from cam.explain.model import CamModel, open_model
from cam.explain.styles import PLACEMENTS, STYLES, Style, get_style
from cam.localization import ORIGINAL_THRESHOLDS, PAPER_FRACTION, BoxRule, Rule


@dataclass(frozen=True)
class EngineOption:
    """What runs the network."""

    engine: str | None = option(
        "auto, openvino or caffe (also caffe:cpu, caffe:gpu:N). Default: CAM_ENGINE, or auto: "
        "Caffe on a GPU that works, else openvino."
    )


@dataclass(frozen=True)
class JsonOption:
    """How the result is printed."""

    as_json: bool = option("Print the result as JSON.", "--json")

    def show(self, value: Any, lines: Iterable[str]) -> None:
        """Print the result: as JSON if that was asked for, else the lines of text."""
        for line in [json.dumps(value, indent=2, default=os.fspath)] if self.as_json else lines:
            click.echo(line)


@dataclass(frozen=True)
class OwnNetworkOptions:
    """A network of the user's own; see `cam.zoo.load_files`."""

    prototxt: Path | None = option("A deploy network of your own.")
    weights: Path | None = option("Its caffemodel.")
    last_conv: str | None = option("Its last conv blob, if not the one before global pooling.")
    class_layer: str | None = option("Its inner product with the class weights.")
    categories: Path | None = option("Its class names, a text file with one a line.")
    mean: str | None = option(
        "Its mean for each channel, such as 104,117,123, or a mean file of Caffe: .npy or "
        ".binaryproto. Default: ILSVRC's."
    )
    scale: float | None = option("Factor after the mean is subtracted. Default: 1.")
    channels: Channels | None = option("Order of its channels. Default: BGR.")

    def load_own(self) -> LoadedNetwork | None:
        """Load the network; None if there is none.

        Raises
        ------
        CamError
            If the options contradict each other, or the network cannot be loaded.
        """
        own = [getattr(self, field.name) for field in fields(OwnNetworkOptions)]
        if all(value is None for value in own):
            return None
        if self.prototxt is None and self.weights is None:
            raise CamError("options for a network of your own need --prototxt and --weights")
        if self.prototxt is None or self.weights is None:
            raise CamError("--prototxt and --weights belong together")
        told = self.mean is not None or self.scale is not None or self.channels is not None
        own_way = preprocessing_with(_mean(self.mean), self.scale, self.channels)
        return zoo.load_files(
            self.prototxt,
            self.weights,
            last_conv=self.last_conv,
            class_layer=self.class_layer,
            preprocessing=own_way if told else None,
            names=None if self.categories is None else zoo.read_class_names(self.categories),
        )


@dataclass(frozen=True)
class NetworkOptions(OwnNetworkOptions, EngineOption):
    """The network that a command was asked to run, and on what; nothing is loaded yet."""

    threads: Count | None = option("Threads for the network.")
    model: str | None = option(
        "A model of the table (cam models). Default: the embedded one.",
        "-m",
        "--model",
        shell_complete=complete_models,
    )

    def load(self) -> LoadedNetwork:
        """Load the network.

        Raises
        ------
        CamError
            If the options contradict each other, or the network cannot be loaded.
        """
        if self.model is not None and self.prototxt is not None:
            raise CamError("--model names a network of the table; --prototxt and --weights another")
        return self.load_own() or zoo.load_network(self.model or zoo.EMBEDDED)

    def open(self, backward: bool = False) -> CamModel:
        """Load the network and start its engine, which can run backward if it has to."""
        with working("loading the network"):
            return open_model(self.load(), self.engine, self.threads, backward)


@dataclass(frozen=True)
class ForwardOptions(NetworkOptions):
    """The network that a command was asked to run forward, and how exactly."""

    precision: str | None = option(
        "What the network is computed in. bfloat16: about half the time, and less exact; openvino "
        "only, on processors with units for it. Default: float32.",
        type=click.Choice([FLOAT32, BFLOAT16]),
    )

    def open(self, backward: bool = False) -> CamModel:
        """Load the network and start its engine in this precision."""
        precision = self.precision or FLOAT32
        with working("loading the network"):
            return open_model(self.load(), self.engine, self.threads, backward, precision)


@dataclass(frozen=True)
class StyleOptions:
    """The way from pictures to overlays."""

    style: str = option(
        "pycaffe: one center crop, as the pycaffe port; matlab: ten crops, as the original.",
        default=STYLES[0],
        shell_complete=complete_styles,
    )
    placement: str = option(
        "Where the center crop's map lies: stretch over the picture as the port does, or crop, "
        "where it belongs.",
        default=PLACEMENTS[0],
    )

    @property
    def chosen_style(self) -> Style:
        """The style itself."""
        return get_style(self.style, self.placement)

    def show_notes(self, network: LoadedNetwork) -> None:
        """Say what a reader of the pictures should know of the network and of the maps' place."""
        show_note(network)
        self._suggest_placement(network)

    def _suggest_placement(self, network: LoadedNetwork) -> None:
        """Say where the crop's map belongs, if it is stretched and nobody asked for that."""
        is_ports = network.name in zoo.MODELS and network.name != zoo.EMBEDDED
        context = click.get_current_context(silent=True)
        source = context and context.get_parameter_source("placement")
        is_asked_for = source == click.core.ParameterSource.COMMANDLINE
        style = self.chosen_style
        is_stretched = style.crops == 1 and self.placement == PLACEMENTS[0]
        if is_stretched and not is_ports and not is_asked_for:
            click.echo(
                "The center crop's map is stretched over the whole picture, as the pycaffe port "
                "does; --placement crop lays it where the crop was.",
                err=True,
            )


@dataclass(frozen=True)
class TopOption:
    """How many classes."""

    top: int | None = option("How many top classes. Default: 5, or all of fewer.")


@dataclass(frozen=True)
class NamedClassOption:
    """Classes by their names."""

    named_classes: tuple[str, ...] = option(
        "This class in place of the top ones: its index from 0, name or WordNet id. May be "
        "repeated.",
        "--class",
        default=(),
        shell_complete=complete_classes,
    )


@dataclass(frozen=True)
class ClassOptions(TopOption, NamedClassOption):
    """The classes that a command was asked for: the top ones, or named ones."""

    def chosen_classes(self, model: CamModel) -> list[int] | None:
        """Return the indices of the named classes, or None if the top ones are wanted.

        Raises
        ------
        CamError
            If the model has no such classes.
        """
        model.top_count(self.top)
        return [model.class_index(name) for name in self.named_classes] or None


@dataclass(frozen=True)
class BoxOptions:
    """How boxes are found."""

    rule: Rule = option(
        "original: the released box generator, several boxes; paper: one box around the largest "
        "part above a fraction of the maximum.",
        default="original",
    )
    thresholds: str | None = option(
        f"Grey levels for the original's rule. Default: {','.join(map(str, ORIGINAL_THRESHOLDS))}."
    )
    fraction: float | None = option(
        f"Fraction of the maximum for the paper's rule. Default: {PAPER_FRACTION}."
    )

    @property
    def box_rule(self) -> BoxRule:
        """The rule with its numbers.

        Raises
        ------
        CamError
            If an option is given that the rule does not have, or is not what it should be.
        """
        if self.rule == "paper" and self.thresholds is not None:
            raise CamError("--thresholds is for --rule original; the paper's rule has --fraction")
        if self.rule == "original" and self.fraction is not None:
            raise CamError("--fraction is for --rule paper; the original's rule has --thresholds")
        levels = ORIGINAL_THRESHOLDS
        if self.thresholds is not None:
            expected = "grey levels such as 20,100,110"
            levels = tuple(_numbers("--thresholds", self.thresholds, int, expected))
        fraction = PAPER_FRACTION if self.fraction is None else self.fraction
        return BoxRule(self.rule, levels, fraction)


def values_for(wanted: type, request: Any) -> dict[str, Any]:
    """Return the values of a request's fields that another dataclass has by the same names."""
    names = {field.name for field in fields(wanted)} & {field.name for field in fields(request)}
    return {name: getattr(request, name) for name in names}


def _numbers(flag: str, text: str, kind: type, expected: str) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidValueError(f"{flag} {text!r}: {expected}") from error


def _mean(text: str | None) -> tuple[float, float, float] | Path | None:
    if text is None or text.endswith((".npy", ".binaryproto")):
        return None if text is None else Path(text)
    expected = "numbers with commas between, or a .npy or .binaryproto file"
    values = _numbers("--mean", text, float, expected)
    if len(values) not in (1, 3):
        raise InvalidValueError(f"--mean {text!r}: one number or three, in the order of channels")
    first, second, third = values * 3 if len(values) == 1 else values
    return first, second, third
