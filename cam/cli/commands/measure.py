"""Measure maps: by what the network loses without them, and by their boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from cam.batch.measuring import (
    Subject,
    boxes_by_picture,
    measure_pictures,
    subjects_of_archive,
    subjects_of_store,
    subjects_to_explain,
    table_of,
)
from cam.batch.store import is_store
from cam.cli.commands.saliency import SmoothOption
from cam.cli.declaring import argument, as_command, option, output_option
from cam.cli.messages import report_failures, show_note
from cam.cli.options import JsonOption, NetworkOptions, StyleOptions
from cam.cli.progress import progress_bar
from cam.errors import CamError
from cam.explain.explanation import Explanation
from cam.explain.measures import MEASURES, summarize
from cam.explain.model import CamModel
from cam.explain.saliency import explain_by_backpropagation, smoothed
from cam.files import write_text
from cam.localization.ground_truth import read_ground_truth, read_ilsvrc_ids
from cam.pictures.lists import find_pictures
from cam.pictures.reading import Picture

CAM, SALIENCY = "cam", "saliency"


@dataclass(frozen=True)
class MeasureRequest(NetworkOptions, StyleOptions, SmoothOption, JsonOption):
    """Whose maps, and what is measured."""

    inputs: tuple[str, ...] = argument("PICTURE...|STORE")
    maps: str = option(
        "cam; saliency, which needs the caffe engine; or a .npz with an array for each picture, "
        "named as its file without extension, which is laid over the whole picture.",
        default=CAM,
    )
    measures: tuple[str, ...] = option(
        "What is asked of the network; may be repeated. Default: all.",
        "--measure",
        type=click.Choice(MEASURES),
        default=(),
    )
    ground_truth: Path | None = option(
        "Boxes of the pictures' classes: the folder of XML annotations, or the .mat in which "
        "ILSVRC's devkit caches them."
    )
    meta: Path | None = option("The devkit's meta file, which XML annotations need.")
    output: Path | None = output_option("Write each picture's measures to this CSV file.")

    @property
    def store(self) -> str | None:
        """The store, if one is measured."""
        return self.inputs[0] if len(self.inputs) == 1 and is_store(self.inputs[0]) else None

    def boxes(self) -> dict[str, NDArray[np.float64]] | None:
        """Return the boxes by picture; None if none are given."""
        if self.ground_truth is None:
            return None
        ids = None if self.meta is None else read_ilsvrc_ids(self.meta)
        return boxes_by_picture(read_ground_truth(self.ground_truth, ilsvrc_ids=ids))

    def subjects(self, model: CamModel) -> Iterator[Subject]:
        """Return the pictures and what finds their maps."""
        if self.store is not None:
            if self.maps != CAM:
                raise CamError("--maps is for pictures; of a store its own maps are measured")
            return subjects_of_store(self.store)
        entries = find_pictures(self.inputs)
        if self.maps in (CAM, SALIENCY):
            return subjects_to_explain(entries, lambda *given: self.explain(model, *given))
        return subjects_of_archive(entries, self.maps, model)

    def explain(self, model: CamModel, picture: Picture, label: int | None) -> Explanation:
        """Return the explanation of a picture's label, or of its best class."""
        style, classes = self.chosen_style, None if label is None else [label]
        if self.maps == CAM:
            return model.explain(picture, 1, style, classes=classes)
        return smoothed(
            explain_by_backpropagation(model, picture, 1, style, classes=classes), self.smooth
        )


@as_command
def measure(request: MeasureRequest) -> int:
    """Measure maps: drop, deletion, insertion, ROAD, pointing game, energy and MaxBoxAcc.

    The map of each PICTURE (a picture, folder, glob, list, table or .tar file; or the STORE of cam
    batch, whose maps are taken) is of its label, where it has one, else of the network's best
    class. docs/measures.md says what is measured, and how.
    """
    boxes = request.boxes()
    if request.store is None:
        next(find_pictures(request.inputs))
    model = request.open(backward=request.maps == SALIENCY)
    measures = request.measures or MEASURES
    measured, failures = [], []
    with progress_bar("pictures") as bar:
        for one in measure_pictures(model, request.subjects(model), measures, boxes):
            if isinstance(one, CamError):
                failures.append(one)
            else:
                measured.append(one)
            bar.advance(1)
    if failures and not measured:
        raise failures[0]
    summary = summarize(measured)
    if request.output is not None:
        write_text(request.output, table_of(measured, model.class_names))
    request.show(summary, (f"{name:22} {value:.4g}" for name, value in summary.items()))
    show_note(model.network)
    return report_failures(failures)
