"""Measure the ILSVRC errors of heat maps or of guesses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import click

from cam.cli.declaring import as_command, option, output_option
from cam.cli.options import BoxOptions, values_for
from cam.cli.progress import progress_bar
from cam.files import write_json
from cam.localization import Evaluation, write_submission
from cam.localization.experiment import ExperimentFiles, Measured, run_experiment

PRINT = "-"


@dataclass(frozen=True)
class EvaluateRequest(BoxOptions):
    """What is evaluated, and against what."""

    heatmaps: Path | None = option("A folder that cam ilsvrc-heatmaps, or the original, made.")
    predictions: Path | None = option("Guesses in the devkit's submission format.")
    ground_truth: Path | None = option(
        "The folder of XML annotations, or the .mat in which the devkit caches them."
    )
    devkit: Path | None = option("The devkit's folder; it has the four files below.")
    labels: Path | None = option("The text file of the validation pictures' ILSVRC ids.")
    blacklist: Path | None = option("The text file of the pictures to leave out.")
    meta: Path | None = option("meta.mat, meta_clsloc.mat or map_clsloc.txt.")
    pictures: Path | None = option("Evaluate the pictures of this list only.", "--list")
    categories: Path | None = option(
        "The class names in the network's order. Default: those of the ImageNet models."
    )
    reuse_boxes: bool = option("Take the boxes in topJ/NAME_default.txt.")
    save_predictions: Path | None = option("Write the guesses (bbox1) to this file.")
    method: str | None = option("The method's name in the tables, the paper's where it has one.")
    model_name: str | None = option(
        "What ran, for the record. Default: what the heat maps' folder says."
    )
    output: Path | None = output_option("Write the errors for cam tables, as JSON.")
    json_file: str | None = option(
        "Print the errors as JSON; with a file's name behind it, the same as -o.",
        "--json",
        is_flag=False,
        flag_value=PRINT,
    )


@as_command
def evaluate(request: EvaluateRequest) -> None:
    """Measure the ILSVRC errors of heat maps or of guesses, for 1 to 5 guesses.

    Heat maps are evaluated three times, as by the original: with the largest box of each of the
    five classes (bbox1, the paper's), with the second largest (bbox2), and with both boxes of the
    first classes, five guesses in all (combined).
    """
    files = ExperimentFiles(**values_for(ExperimentFiles, request))
    with progress_bar("boxes") as bar:
        measured = run_experiment(files, request.box_rule, request.reuse_boxes, bar.move)
    _report(measured, request)


def _report(measured: Measured, request: EvaluateRequest) -> None:
    output, prints_json = request.output, request.json_file == PRINT
    if request.json_file is not None and not prints_json:
        output = Path(request.json_file)
    is_wanted = prints_json or output is not None
    records = measured.to_json(request.method, request.model_name) if is_wanted else None
    if request.save_predictions is not None:
        write_submission(request.save_predictions, next(iter(measured.guesses.values())))
    if output is not None:
        write_json(output, records)
    if prints_json:
        click.echo(json.dumps(records, indent=2))
        return
    for name, result in measured.evaluations.items():
        _print_table(name, result)


def _print_table(name: str, result: Evaluation) -> None:
    counted = f"{result.pictures} pictures, {result.blacklisted} of them blacklisted"
    click.echo(f"{name}: error in %, {counted}")
    click.echo("guesses  localization  classification")
    for count, (located, classified) in enumerate(
        zip(result.localization, result.classification, strict=True), 1
    ):
        click.echo(f"{count:7d}  {100 * located:12.2f}  {100 * classified:14.2f}")
