"""The ILSVRC experiment as a whole: from heat maps or guesses, and the devkit, to the errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from cam import zoo
from cam.errors import CamError
from cam.localization.boxes import BoxRule
from cam.localization.evaluation import Evaluation, evaluate
from cam.localization.ground_truth import (
    GroundTruth,
    devkit_labels,
    read_ground_truth,
    read_ilsvrc_ids,
)
from cam.localization.ilsvrc_heatmaps import read_heatmap_folder, read_picture_list, read_record
from cam.localization.predictions import VARIANTS, Predictions, read_submission
from cam.localization.tables import PAPER_METHODS

_DEVKIT: Mapping[str, tuple[str, ...]] = {
    "ground_truth": ("evaluation/cache_groundtruth.mat",),
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

OnPicture = Callable[[int, int], object]


@dataclass(frozen=True)
class ExperimentFiles:
    """What is evaluated, and against what.

    Attributes
    ----------
    heatmaps : pathlib.Path or None
        A folder of ILSVRC heat maps.
    predictions : pathlib.Path or None
        Guesses in the devkit's submission format, in place of heat maps.
    ground_truth : pathlib.Path or None
        The folder of XML annotations, or the ``.mat`` in which the devkit caches them.
    devkit : pathlib.Path or None
        The devkit's folder, which has this file and the next three.
    labels, blacklist, meta : pathlib.Path or None
        The pictures' ILSVRC ids, the pictures to leave out, the classes.
    pictures : pathlib.Path or None
        A list of the pictures to evaluate; all of the ground truth if None.
    categories : pathlib.Path or None
        The class names in the network's order; those of the ImageNet models if None.
    """

    heatmaps: Path | None = None
    predictions: Path | None = None
    ground_truth: Path | None = None
    devkit: Path | None = None
    labels: Path | None = None
    blacklist: Path | None = None
    meta: Path | None = None
    pictures: Path | None = None
    categories: Path | None = None

    def of_devkit(self, kind: str) -> Path | None:
        """Return a file of the ground truth: the one that was named, or the devkit's."""
        named: Path | None = getattr(self, kind)
        if named is not None or self.devkit is None:
            return named
        found = (path for one in _DEVKIT[kind] for path in sorted(self.devkit.glob(one)))
        path = next(found, None)
        if path is None and kind == "meta":
            raise CamError(f"{self.devkit} is not an ILSVRC devkit: it has none of {_DEVKIT[kind]}")
        return path

    def ilsvrc_ids(self) -> dict[str, int]:
        """Return the ILSVRC id of each WordNet id."""
        meta = self.of_devkit("meta")
        if meta is None:
            raise CamError(
                "--meta is missing (or --devkit): the devkit's meta file says which ILSVRC id each "
                "class has; the devkit is at image-net.org"
            )
        return read_ilsvrc_ids(meta)


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured.

    Attributes
    ----------
    guesses : dict of str to Predictions
        The guesses of each variant that was evaluated.
    evaluations : dict of str to Evaluation
        The errors of each.
    rule : cam.localization.boxes.BoxRule
        How boxes were found.
    record : dict
        What made the heat maps, as their folder says.
    """

    guesses: Mapping[str, Predictions]
    evaluations: Mapping[str, Evaluation]
    rule: BoxRule
    record: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, method: str | None, model: str | None) -> list[dict[str, Any]]:
        """Return the records that `cam.localization.tables` reads.

        Parameters
        ----------
        method : str or None
            The method's name in the tables; by the model if None.
        model : str or None
            What ran; what the heat maps' folder says if None.
        """
        ran = model or self.record.get("model")
        if method is None:
            if ran is None:
                raise CamError("JSON needs --method, the method's name in the tables")
            by_model = PAPER_METHODS.get(str(ran), str(ran))
            is_gradient = self.record.get("method") == "backpropagation"
            method = f"Backprop on {ran}" if is_gradient else by_model
        boxes = {"predictions": "bbox1"}
        if self.rule.name == "paper":
            boxes = {"bbox1": "paper's rule"}
        return [
            result.to_json(method, ran, boxes.get(name, name))
            for name, result in self.evaluations.items()
        ]


def run_experiment(
    files: ExperimentFiles,
    rule: BoxRule | None = None,
    reuse_boxes: bool = False,
    on_picture: OnPicture | None = None,
) -> Measured:
    """Measure the ILSVRC errors of heat maps or of guesses.

    Heat maps are evaluated three times, as by the original's ``ILSVRC_evaluate_bbox.m``; see
    `VARIANTS`. The paper's rule gives one box, so that its variants are the same, and one is.

    Parameters
    ----------
    files : ExperimentFiles
        What is evaluated, and against what.
    rule : BoxRule, optional
        How boxes are found in heat maps; the original's rule if not given.
    reuse_boxes : bool, optional
        Take the boxes in the original's ``topJ/NAME_default.txt``.
    on_picture : callable, optional
        Called with the pictures done and the pictures in all.

    Returns
    -------
    Measured
        The errors.

    Raises
    ------
    CamError
        If files are missing, contradict each other or are not what they should be.
    """
    chosen = rule or BoxRule()
    if (files.heatmaps is None) == (files.predictions is None):
        raise CamError("give either --heatmaps or --predictions")
    if reuse_boxes and chosen.name == "paper":
        raise CamError("--reuse-boxes takes boxes of the original's rule, not of the paper's")
    truth = _read_truth(files)
    if files.predictions is not None:
        guesses = {"predictions": read_submission(files.predictions)}
        record: Mapping[str, Any] = {}
    else:
        assert files.heatmaps is not None
        record = read_record(files.heatmaps)
        guesses = _guesses(files, truth, chosen, reuse_boxes, on_picture)
    evaluations = {name: evaluate(truth, one) for name, one in guesses.items()}
    return Measured(guesses, evaluations, chosen, record)


def _read_truth(files: ExperimentFiles) -> GroundTruth:
    boxes = files.of_devkit("ground_truth")
    if boxes is None:
        if files.devkit is not None:
            files.ilsvrc_ids()
        raise CamError(
            "--ground-truth is missing: the folder of the validation set's XML annotations, or "
            "the .mat in which the devkit's evaluation caches them"
        )
    needs_ids = files.heatmaps is not None or boxes.is_dir()
    truth = read_ground_truth(
        boxes,
        labels=files.of_devkit("labels"),
        blacklist=files.of_devkit("blacklist"),
        ilsvrc_ids=files.ilsvrc_ids() if needs_ids else None,
    )
    if files.pictures is not None:
        truth = truth.select(path.stem for path in read_picture_list(files.pictures))
    return truth


def _guesses(
    files: ExperimentFiles,
    truth: GroundTruth,
    rule: BoxRule,
    reuse_boxes: bool,
    on_picture: OnPicture | None,
) -> dict[str, Predictions]:
    names = (
        zoo.class_names("categories1000.txt")
        if files.categories is None
        else zoo.read_class_names(files.categories)
    )
    done = count(1)
    assert files.heatmaps is not None
    candidates = read_heatmap_folder(
        files.heatmaps,
        truth.names,
        devkit_labels(names, files.ilsvrc_ids()),
        rule=rule,
        reuse_boxes=reuse_boxes,
        on_picture=None if on_picture is None else lambda: on_picture(next(done), len(truth)),
    )
    variants = list(VARIANTS)[: 1 if rule.name == "paper" else None]
    return {variant: candidates.guesses(variant) for variant in variants}
