"""`cam evaluate`: the ILSVRC classification and localization errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cam.cli.options import box_options
from cam.errors import CamError
from cam.localization.boxes import BoxRule

if TYPE_CHECKING:
    from cam.localization import Candidates, Evaluation, GroundTruth, Predictions

_DEVKIT = {
    "boxes": ("evaluation/cache_groundtruth.mat",),
    "labels": (
        "data/ILSVRC20*_clsloc_validation_ground_truth.txt",
        "data/ILSVRC2012_validation_ground_truth.txt",
    ),
    "blacklist": (
        "data/ILSVRC20*_clsloc_validation_blacklist.txt",
        "data/ILSVRC20*_validation_blacklist.txt",
    ),
    "meta": ("data/meta_clsloc.mat", "data/meta.mat", "data/map_clsloc.txt"),
}
"""Where the devkits of 2012 to 2017 have what the evaluation reads."""

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True)
class _Sources:
    """The files of the ground truth."""

    boxes: Path
    labels: Path | None
    blacklist: Path | None
    meta: Path | None


@click.command()
@click.option(
    "--heatmaps", type=_FILE, help="A folder that cam ilsvrc-heatmaps, or the original, made."
)
@click.option("--predictions", type=_FILE, help="Guesses in the devkit's submission format.")
@click.option(
    "--ground-truth",
    type=_FILE,
    help="The folder of XML annotations, or the .mat in which the devkit caches them.",
)
@click.option("--devkit", type=_FILE, help="The devkit's folder; it has the four files below.")
@click.option("--labels", type=_FILE, help="The text file of the validation pictures' ILSVRC ids.")
@click.option("--blacklist", type=_FILE, help="The text file of the pictures to leave out.")
@click.option("--meta", type=_FILE, help="meta.mat, meta_clsloc.mat or map_clsloc.txt.")
@click.option("--list", "list_file", type=_FILE, help="Evaluate the pictures of this list only.")
@click.option(
    "--categories",
    type=_FILE,
    help="The class names in the network's order. Default: those of the ImageNet models.",
)
@box_options
@click.option("--reuse-boxes", is_flag=True, help="Take the boxes in topJ/NAME_default.txt.")
@click.option("--save-predictions", type=_FILE, help="Write the guesses (bbox1) to this file.")
@click.option("--method", help="The method's name in the tables, the paper's where it has one.")
@click.option("--model", help="What ran, for the record. Default: what the heat maps' folder says.")
@click.option("--json", "json_file", type=_FILE, help="Write the errors for cam tables.")
def evaluate(
    heatmaps: Path | None,
    predictions: Path | None,
    list_file: Path | None,
    categories: Path | None,
    reuse_boxes: bool,
    save_predictions: Path | None,
    method: str | None,
    model: str | None,
    json_file: Path | None,
    rule: BoxRule,
    **options: Any,
) -> None:
    """Measure the ILSVRC errors of heat maps or of guesses, for 1 to 5 guesses.

    Heat maps are evaluated three times, as by the original: with the largest box of each of the
    five classes (bbox1, the paper's), with the second largest (bbox2), and with both boxes of the
    first classes, five guesses in all (combined).
    """
    from cam.localization import VARIANTS, read_ground_truth, read_ilsvrc_ids, read_submission
    from cam.localization import evaluate as measure
    from cam.localization.ilsvrc_heatmaps import read_picture_list, read_record

    if (heatmaps is None) == (predictions is None):
        raise CamError("give either --heatmaps or --predictions")
    sources = _sources(**options)
    needs_ids = heatmaps is not None or sources.boxes.is_dir()
    ids = read_ilsvrc_ids(_needed_meta(sources)) if needs_ids else None
    truth = read_ground_truth(
        sources.boxes, labels=sources.labels, blacklist=sources.blacklist, ilsvrc_ids=ids
    )
    if list_file is not None:
        truth = truth.select(path.stem for path in read_picture_list(list_file))
    record: dict[str, Any] = {}
    guesses: dict[str, Predictions] = {}
    if predictions is not None:
        guesses["predictions"] = read_submission(predictions)
    elif heatmaps is not None and ids is not None:
        record = read_record(heatmaps)
        candidates = _candidates(heatmaps, truth, ids, categories, rule, reuse_boxes)
        # The paper's rule gives one box, so that its variants are the same.
        for variant in list(VARIANTS)[: 1 if rule.name == "paper" else None]:
            guesses[variant] = candidates.guesses(variant)
    results = {name: measure(truth, guess) for name, guess in guesses.items()}
    for name, result in results.items():
        _print_table(name, result)
    if save_predictions is not None:
        from cam.localization import write_submission

        write_submission(save_predictions, next(iter(guesses.values())))
    if json_file is not None:
        what, ran = _method_and_model(method, model, record)
        boxes = {"predictions": "bbox1"} if rule.name == "original" else {"bbox1": "paper's rule"}
        _write_json(
            json_file,
            [result.to_json(what, ran, boxes.get(name, name)) for name, result in results.items()],
        )


def _sources(
    ground_truth: Path | None,
    devkit: Path | None,
    labels: Path | None,
    blacklist: Path | None,
    meta: Path | None,
) -> _Sources:
    """Take what was named, and the rest from the devkit if one was named."""
    found = {} if devkit is None else _find_in_devkit(devkit)
    boxes = ground_truth or found.get("boxes")
    if boxes is None:
        raise CamError(
            "--ground-truth is missing: the folder of the validation set's XML annotations, or "
            "the .mat in which the devkit's evaluation caches them"
        )
    return _Sources(
        boxes,
        labels or found.get("labels"),
        blacklist or found.get("blacklist"),
        meta or found.get("meta"),
    )


def _find_in_devkit(folder: Path) -> dict[str, Path]:
    found = {
        kind: next((path for pattern in patterns for path in sorted(folder.glob(pattern))), None)
        for kind, patterns in _DEVKIT.items()
    }
    if found["meta"] is None:
        raise CamError(f"{folder} is not an ILSVRC devkit: it has none of {_DEVKIT['meta']}")
    return {kind: path for kind, path in found.items() if path is not None}


def _needed_meta(sources: _Sources) -> Path:
    if sources.meta is None:
        raise CamError(
            "--meta is missing (or --devkit): the devkit's meta file says which ILSVRC id each "
            "class has; the devkit is at image-net.org"
        )
    return sources.meta


def _candidates(
    heatmaps: Path,
    truth: GroundTruth,
    ids: Mapping[str, int],
    categories: Path | None,
    rule: BoxRule,
    reuse_boxes: bool,
) -> Candidates:
    from cam import zoo
    from cam.localization import devkit_labels, read_heatmap_folder

    if reuse_boxes and rule.name == "paper":
        raise CamError("--reuse-boxes takes boxes of the original's rule, not of the paper's")
    names = (
        zoo.class_names("categories1000.txt")
        if categories is None
        else zoo.read_class_names(categories)
    )
    with click.progressbar(length=len(truth), label="boxes", file=sys.stderr) as bar:
        return read_heatmap_folder(
            heatmaps,
            truth.names,
            devkit_labels(names, ids),
            rule=rule.name,
            thresholds=rule.thresholds,
            fraction=rule.fraction,
            reuse_boxes=reuse_boxes,
            on_picture=lambda: bar.update(1),
        )


def _print_table(name: str, result: Evaluation) -> None:
    counted = f"{result.pictures} pictures, {result.blacklisted} of them blacklisted"
    click.echo(f"{name}: error in %, {counted}")
    click.echo("guesses  localization  classification")
    for count, (located, classified) in enumerate(
        zip(result.localization, result.classification, strict=True), 1
    ):
        click.echo(f"{count:7d}  {100 * located:12.2f}  {100 * classified:14.2f}")


def _method_and_model(
    method: str | None, model: str | None, record: Mapping[str, Any]
) -> tuple[str, str | None]:
    from cam.localization.tables import PAPER_METHODS

    ran = model or record.get("model")
    if method is None and ran is None:
        raise CamError("--json needs --method, the method's name in the tables")
    if method is None and record.get("method") == "backpropagation":
        method = f"Backprop on {ran}"
    return method or PAPER_METHODS.get(str(ran), str(ran)), ran


def _write_json(path: Path, records: list[dict[str, Any]]) -> None:
    from cam.files import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
