"""Fine-grained recognition (section 4.1): classes learned from where their maps are.

A classifier of full pictures comes first. The box of its class activation map, by the paper's rule
of 20 % of the maximum, is cut out of each picture: of the labelled class in training, of the class
found in testing. A second classifier is learned from the features of these crops, and a third from
those of the ground truth's boxes, where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cam.batch import BatchOptions
from cam.batch.entries import read_entries
from cam.batch.pipeline import PieceRunner, Progress
from cam.batch.store import read_pieces
from cam.explain.model import CamModel
from cam.files import PathLike, sha256_of, write_json
from cam.learning.features import FeatureMaker, FeatureStore, Parts
from cam.learning.learn import FEATURES, RECORD, Learned, LearnOptions, learn, learn_from
from cam.pictures.lists import Entry

PAPER_ACCURACIES = {"full": 63.0, "crop": 67.8, "truth": 70.5}
"""The paper's accuracies on CUB-200-2011 in percent (table 4): the full picture, the crop of the
class's map, the ground truth's box."""


@dataclass(frozen=True, eq=False)
class LearnedCrops:
    """What was learned of full pictures, of the crops of their maps, and of the ground truth's.

    Attributes
    ----------
    full, crop : cam.learning.learn.Learned
        The two classifiers, the second one in the folder ``crop`` of the first one's.
    truth : cam.learning.learn.Learned or None
        The third one, in ``truth``; None if not every picture has a box.
    """

    full: Learned
    crop: Learned
    truth: Learned | None

    @property
    def record(self) -> dict[str, Any]:
        """What ``learning.json`` says, of the others as ``crop`` and ``truth``."""
        truth = None if self.truth is None else self.truth.record
        return {**self.full.record, "crop": self.crop.record, "truth": truth}

    def accuracies(self) -> dict[str, float]:
        """Return the accuracies that are there, in percent, named as the paper's."""
        found = {"full": self.full, "crop": self.crop, "truth": self.truth}
        return {
            name: 100 * learned.record["accuracy"]
            for name, learned in found.items()
            if learned is not None and learned.record["accuracy"] is not None
        }


def learn_with_crops(
    model: CamModel,
    train: PathLike,
    folder: PathLike,
    test: PathLike | None = None,
    options: LearnOptions | None = None,
    *,
    progress: Progress | None = None,
    runner: PieceRunner | None = None,
) -> LearnedCrops:
    """Learn from full pictures, and again from the crops that their maps give.

    Parameters
    ----------
    model, train, folder, test, options, progress, runner
        As for `cam.learning.learn.learn`. Boxes are found here, whatever `runner` is.

    Returns
    -------
    LearnedCrops
        The classifiers.

    Raises
    ------
    CamError
        As `learn`.

    References
    ----------
    Zhou et al., 2016, section 4.1 and table 4.
    """
    chosen, target = options or LearnOptions(), Path(folder)
    full = learn(model, train, folder, test, chosen, progress=progress, runner=runner)
    maker = FeatureMaker(model, chosen.style, chosen.workers, progress, runner)
    # Boxes are those of this classifier; another one's lie elsewhere.
    digest = sha256_of(full.caffemodel)[:12]
    stores = (chosen.features or target / FEATURES) / f"crops-{digest}"
    finder, cut, drawn = full.open(model), {}, {}
    for name, part in full.parts.all().items():
        boxes = stores / f"boxes-{name}"
        maker.run(finder, _labelled(part), boxes, _box_options(chosen.style, name))
        cut[name] = maker.make(_cropped(part, boxes), part.labels, stores / name)
        if part.boxes is not None:
            drawn[name] = maker.make(_drawn(part), part.labels, stores / f"truth-{name}")
    crop = _learned(full, cut, target / "crop", model, chosen)
    is_drawn = drawn.keys() == cut.keys()
    truth = _learned(full, drawn, target / "truth", model, chosen) if is_drawn else None
    learned = LearnedCrops(full, crop, truth)
    write_json(target / RECORD, learned.record)
    return learned


def _learned(
    full: Learned,
    stores: dict[str, FeatureStore],
    folder: Path,
    model: CamModel,
    options: LearnOptions,
) -> Learned:
    parts = Parts(full.parts.class_names, stores["train"], stores.get("test"))
    return learn_from(model, parts, folder, options)


def _box_options(style: str, part: str) -> BatchOptions:
    return BatchOptions(
        top=1,
        style=style,
        placement="crop" if style == "pycaffe" else "stretch",
        outputs=("boxes",),
        box_rule="paper",
        classes="label" if part == "train" else "top",
    )


def _labelled(part: FeatureStore) -> Iterator[Entry]:
    for entry, label in zip(read_entries(part.folder), part.labels, strict=True):
        yield replace(entry, label=int(label))


def _cropped(part: FeatureStore, boxes: Path) -> Iterator[Entry]:
    """Yield each picture cut to its box; whole, if its map is positive nowhere."""
    rows = (row for table in read_pieces(boxes, ["boxes"]) for row in table["boxes"].to_pylist())
    for entry, found in zip(read_entries(part.folder), rows, strict=True):
        x, y, width, height = found[0][0] if found and found[0] else (0, 0, 0, 0)
        box = (x, y, width, height) if width else None
        yield replace(entry, label=None, box=box)


def _drawn(part: FeatureStore) -> Iterator[Entry]:
    for entry, box in zip(read_entries(part.folder), part.boxes or (), strict=True):
        yield replace(entry, label=None, box=box)
