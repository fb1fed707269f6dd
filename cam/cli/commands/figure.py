"""Draw one of the paper's figure types."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path

import click

from cam import zoo
from cam.batch.ranking import best_pictures
from cam.batch.store import read_class_names
from cam.cli.completing import complete_classes
from cam.cli.declaring import Count, argument, as_command, names_of, option, output_option
from cam.cli.drawing import OverlayOptions
from cam.cli.options import BoxOptions, ForwardOptions, StyleOptions, values_for
from cam.cli.progress import progress_bar
from cam.engines.protocol import FLOAT32
from cam.errors import CamError
from cam.explain.model import CamModel, open_model
from cam.figures.drawing import figure_files, save_sheet
from cam.figures.types import FIGURES as FIGURES_OF_THE_PAPER
from cam.figures.types import FigureRequest
from cam.learning.figures import UNITS
from cam.pictures.lists import Entry, find_pictures
from cam.pictures.matplotlib_files import import_matplotlib

FIGURES = {**FIGURES_OF_THE_PAPER, "units": UNITS}


@dataclass(frozen=True)
class FigureOptions(ForwardOptions, StyleOptions, BoxOptions, OverlayOptions):
    """Which figure, of what."""

    name: str = argument("NAME", type=click.Choice(list(FIGURES)))
    images: tuple[str, ...] = argument("PICTURE...", default=())
    store: Path | None = option(
        "Take the pictures from a store of cam batch, those that score highest for --class.",
        "--from",
    )
    best: Count = option("How many pictures of a store, or for each unit.", default=6)
    units: Count = option("How many units, those with the class's largest weights.", default=3)
    share: float = option(
        "Cut each picture to where the unit is above this share of its maximum.", default=0.5
    )
    title: str | None = option("A title above the figure.")
    named_classes: tuple[str, ...] = option(
        "The class to show: its name, WordNet id or index. top5 takes several.",
        "--class",
        default=(),
        shell_complete=complete_classes,
    )
    per_row: Count | None = option("How many pictures side by side.")
    also: tuple[str, ...] = option("A further model of the table; may be repeated.", default=())
    backprop: tuple[str, ...] = option(
        "A model to backpropagate through (needs the caffe engine); may be repeated.", default=()
    )
    truth: Path | None = option(
        "The ground truth. A folder of NAME.txt (x1 y1 x2 y2 a line) or, with --meta, of XML "
        "annotations; or the .mat in which the devkit caches them."
    )
    meta: Path | None = option("The devkit's meta file, for XML annotations.")
    labels: tuple[str, ...] = option(
        "A picture's label; once for each picture.", "--label", default=()
    )
    output: Path | None = output_option(
        "The figure's path, .png, .pdf or .svg; without one of these, a .png and a .pdf are "
        "written. Default: cam-figures/NAME."
    )

    def request(self) -> FigureRequest:
        """Return what the figure is to show, its pictures read.

        Raises
        ------
        CamError
            If an option is given that does nothing for this figure, or a picture cannot be read.
        """
        self._refuse_idle_options()
        rule, style = self.box_rule, self.chosen_style
        made = {"load": self._load, "style": style, "rule": rule, "drawing": self.drawing}
        made["entries"] = self._entries()
        return FigureRequest(**{**values_for(FigureRequest, self), **made})

    def _entries(self) -> Iterable[Entry]:
        if (self.store is None) != bool(self.images):
            raise CamError("name pictures, or, for class-maps, a store with --from")
        if self.store is None:
            entries = find_pictures(self.images)
            # In one pass they are not kept, but that there is one is said before the network runs.
            one_pass = FIGURES[self.name].one_pass
            return chain([next(entries)], entries) if one_pass else list(entries)
        if len(self.named_classes) != 1:
            raise CamError("--from goes with one --class")
        index = zoo.find_class(read_class_names(self.store), self.named_classes[0])
        return [entry for entry, _ in best_pictures(self.store, index, self.best)]

    def _load(self, name: str | None) -> CamModel:
        network = self.load() if name is None else zoo.load_network(name)
        backward, precision = bool(self.backprop), self.precision or FLOAT32
        return open_model(network, self.engine, self.threads, backward, precision)

    def _refuse_idle_options(self) -> None:
        takes = {"thresholds": "rule", "fraction": "rule"}
        special = {taken for figure_type in FIGURES.values() for taken in figure_type.options}
        for field in fields(self):
            taken = takes.get(field.name, field.name)
            is_given = getattr(self, field.name) not in (None, (), field.default)
            if is_given and taken in special and taken not in FIGURES[self.name].options:
                takers = ", ".join(name for name, one in FIGURES.items() if taken in one.options)
                flag = names_of(field)[0]
                raise CamError(f"{flag} does nothing for {self.name}: {takers} only")


@as_command
def figure(options: FigureOptions) -> None:
    """Draw one of the paper's figure types as PNG and PDF, or as SVG."""
    files = figure_files(options.output or Path("cam-figures") / options.name)
    # Its absence is said before the network runs.
    import_matplotlib()
    request = options.request()
    with progress_bar("pictures", request.count) as bar:
        request = replace(request, report=bar.advance)
        sheet = FIGURES[options.name].make(request)
    options.show_notes(request.model.network)
    for path in files:
        save_sheet(sheet, path)
        click.echo(f"written to {path}")


assert figure.help is not None
figure.help += "\n\n\b\n" + "\n".join(f"{name:<13}{one.help}" for name, one in FIGURES.items())
figure.help += (
    "\n\nWithout --class, class-maps shows the top class of the first picture, the others the top "
    "class of each."
)
