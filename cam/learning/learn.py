"""Learning the classes of a user's pictures: features, a linear classifier, a network (section 4).

Nothing of the base network is trained. The pooled features of each picture go through a store, so
that an interrupted call goes on; a linear classifier is learned from them; and its weights become
the class layer of an ordinary network, whose class activation maps are then those of the new
classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from cam import zoo
from cam.batch.entries import read_entries
from cam.batch.pipeline import PieceRunner, Progress
from cam.batch.store import failures
from cam.errors import CamError
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel, open_model
from cam.files import PathLike, write_json
from cam.learning.classifier import (
    ClassifierOptions,
    CrossValidation,
    LinearClassifier,
    check_installed,
    cross_validate,
    train_classifier,
)
from cam.learning.evaluation import Evaluation
from cam.learning.features import FeatureMaker, FeatureStore, Labels, Parts, gather_features
from cam.learning.network import CAFFEMODEL, PROTOTXT, write_learned_network

RECORD, CONFUSION, PREDICTIONS = "learning.json", "confusion.csv", "predictions.csv"
CONFUSION_PICTURE, PICTURES = "confusion.png", "pictures.png"
FEATURES = "features"
PICTURES_SHOWN = 6


@dataclass(frozen=True)
class LearnOptions:
    """How classes are learned.

    Attributes
    ----------
    classifier : cam.learning.classifier.ClassifierOptions
        The classifier.
    style : {"pycaffe", "matlab"}
        The features of one center crop, or the mean over ten crops.
    class_names : tuple of str or None
        The names of all classes; labels are then these, or numbers from 0. Taken from the training
        part if None.
    root : pathlib.Path or None
        The folder that relative paths of lists and tables start from; each list's own if None.
    features : pathlib.Path or None
        The folder of the features' stores; ``features`` in the output's if None.
    data_set : str
        The name of the data, for `cam tables`; recorded and nothing else.
    figures : bool
        Whether the confusion matrix and the most telling pictures are drawn.
    workers : int or None
        Threads that read pictures; one for each processor, at most 16, if None.
    """

    classifier: ClassifierOptions = field(default_factory=ClassifierOptions)
    style: str = "pycaffe"
    class_names: tuple[str, ...] | None = None
    root: Path | None = None
    features: Path | None = None
    data_set: str = ""
    figures: bool = True
    workers: int | None = None


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned.

    Attributes
    ----------
    folder : pathlib.Path
        Where the network and its record are.
    classifier : cam.learning.classifier.LinearClassifier
        The classifier.
    evaluation : cam.learning.evaluation.Evaluation or None
        How it does on the held-out part or, without one, in cross-validation; None if neither is
        possible.
    record : dict
        What ``learning.json`` says.
    parts : cam.learning.features.Parts
        What it was learned from and tested on.
    """

    folder: Path
    classifier: LinearClassifier
    evaluation: Evaluation | None
    record: dict[str, Any]
    parts: Parts

    @property
    def prototxt(self) -> Path:
        """The learned network."""
        return self.folder / PROTOTXT

    @property
    def caffemodel(self) -> Path:
        """Its weights."""
        return self.folder / CAFFEMODEL

    def open(self, base: CamModel) -> CamModel:
        """Return the learned network, run by the same engine as its base network."""
        engine = f"{base.engine.name}:{base.engine.device.lower()}"
        return open_model(zoo.load_files(self.prototxt, self.caffemodel), engine)

    def failures(self) -> Iterator[tuple[str, str]]:
        """Yield name and reason of the pictures that could not be read."""
        return chain.from_iterable(failures(part.folder) for part in self.parts.all().values())


def learn(
    model: CamModel,
    train: PathLike,
    folder: PathLike,
    test: PathLike | None = None,
    options: LearnOptions | None = None,
    *,
    progress: Progress | None = None,
    runner: PieceRunner | None = None,
) -> Learned:
    """Learn a linear classifier on a network's features, and write it as a network.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The base network.
    train : path-like
        What to learn from: a store with features, a folder with a folder for each class, one of
        Caffe's lists, or a table; see `cam.learning.examples`.
    folder : path-like
        Where to write; see `learn_from`. An interrupted call goes on.
    test : path-like, optional
        What to be tested on, of the same kinds. A table with a `split` has both parts.
    options : LearnOptions, optional
        How.
    progress : cam.batch.pipeline.Progress, optional
        Is told how far the features are.
    runner : cam.batch.pipeline.PieceRunner, optional
        What makes the features: this process if not given, or a cluster.

    Returns
    -------
    Learned
        What was learned, and how good it is.

    Raises
    ------
    CamError
        If a source cannot be used, a class has no picture, there is one class only, or labels of
        the held-out part are none of the classes.

    References
    ----------
    Zhou et al., 2016, section 4.

    Examples
    --------
    >>> import cam
    >>> learned = learn(cam.load(), "actions/train", "out", "actions/test")  # doctest: +SKIP
    >>> cam.load_files(learned.prototxt, learned.caffemodel)  # doctest: +SKIP
    """
    chosen = options or LearnOptions()
    check_installed()
    if chosen.figures and find_spec("matplotlib") is None:
        raise CamError("the figures need matplotlib: pip install matplotlib, or do without them")
    maker = FeatureMaker(model, chosen.style, chosen.workers, progress, runner)
    stores = chosen.features or Path(folder) / FEATURES
    held_out = None if test is None else Path(test)
    parts = gather_features(maker, Path(train), held_out, stores, chosen.class_names, chosen.root)
    return learn_from(model, parts, folder, chosen)


def learn_from(
    model: CamModel, parts: Parts, folder: PathLike, options: LearnOptions | None = None
) -> Learned:
    """Learn from features that are there already.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The base network.
    parts : cam.learning.features.Parts
        Features with labels.
    folder : path-like
        Where to write the network (``deploy.prototxt``, ``weights.caffemodel``,
        ``categories.txt``, ``network.json``), ``learning.json``, the confusion matrix
        (``confusion.csv``, ``confusion.png``), ``predictions.csv`` and ``pictures.png``. The same
        features give the same bytes.
    options : LearnOptions, optional
        How.

    Returns
    -------
    Learned
        What was learned.
    """
    chosen, target = options or LearnOptions(), Path(folder)
    training = parts.train.load()
    labels = parts.train.labels[training.places]
    counts = _checked_counts(parts.class_names, labels)
    crossed, C = _choose(training.features, labels, counts, chosen.classifier, parts)
    classifier = train_classifier(training.features, labels, C, chosen.classifier)
    if parts.test is not None:
        evaluation: Evaluation | None = _tested(parts.test, classifier, parts.class_names)
    elif crossed is not None:
        evaluation = Evaluation(
            parts.class_names, training.places, training.names, labels, crossed.decisions
        )
    else:
        evaluation = None
    write_learned_network(target, model.network, classifier, parts.class_names)
    record = _record(model, parts, chosen, counts, crossed, C, evaluation)
    write_json(target / RECORD, record)
    learned = Learned(target, classifier, evaluation, record, parts)
    if evaluation is not None:
        _write_evaluation(learned, evaluation, model, chosen)
    return learned


def _checked_counts(class_names: Sequence[str], labels: Labels) -> list[int]:
    """Return how many training pictures each class has.

    Raises
    ------
    CamError
        If one has none, or there is one class only.
    """
    counts: list[int] = np.bincount(labels, minlength=len(class_names)).tolist()
    for name in class_names:
        if name.strip().splitlines() != [name]:
            raise CamError(f"class {name!r}: a name is one line, without blanks around it")
    if len(class_names) < 2:
        raise CamError(f"one class, {', '.join(class_names)}: a classifier needs two or more")
    empty = [name for name, count in zip(class_names, counts, strict=True) if not count]
    if empty:
        more = f" and {len(empty) - 1} others" if len(empty) > 1 else ""
        raise CamError(f"class {empty[0]!r}{more}: no training picture that could be read")
    return counts


def _choose(
    features: Any,
    labels: Labels,
    counts: Sequence[int],
    options: ClassifierOptions,
    parts: Parts,
) -> tuple[CrossValidation | None, float]:
    """Return C, and the cross-validation that chose it or that stands for the held-out part."""
    if options.C is not None and (parts.test is not None or min(counts) < 2):
        return None, options.C
    if min(counts) < 2:
        name = parts.class_names[counts.index(1)]
        raise CamError(
            f"class {name!r} has one picture, and C is chosen by cross-validation, which needs two "
            "of each class: give more pictures, or C"
        )
    crossed = cross_validate(features, labels, options)
    return crossed, crossed.C


def _tested(
    part: FeatureStore, classifier: LinearClassifier, class_names: tuple[str, ...]
) -> Evaluation:
    places, names, decisions = [], [], []
    for block in part.blocks():
        places.append(block.places)
        names += block.names
        decisions.append(classifier.decide(block.features))
    if not names:
        raise CamError(f"{part.folder}: none of its pictures could be read")
    all_places = np.concatenate(places)
    return Evaluation(
        class_names, all_places, names, part.labels[all_places], np.concatenate(decisions)
    )


def _record(
    model: CamModel,
    parts: Parts,
    options: LearnOptions,
    counts: Sequence[int],
    crossed: CrossValidation | None,
    C: float,
    evaluation: Evaluation | None,
) -> dict[str, Any]:
    names = ("accuracy", "mean_class_accuracy", "class_accuracies")
    where = "cross-validation" if parts.test is None else "test"
    measured = {
        **{name: getattr(evaluation, name, None) for name in names},
        "measured_on": None if evaluation is None else where,
        "pictures": None if evaluation is None else len(evaluation.labels),
    }
    return {
        **measured,
        "data_set": options.data_set,
        "classes": list(parts.class_names),
        "training_pictures": list(counts),
        "failed": sum(1 for part in parts.all().values() for _ in failures(part.folder)),
        "classifier": {**asdict(options.classifier), "C": C},
        "cross_validation": None if crossed is None else crossed.accuracies,
        "style": options.style,
        "base": model.record,
        "versions": {name: metadata.version(name) for name in ("numpy", "scikit-learn")},
    }


def _write_evaluation(
    learned: Learned, evaluation: Evaluation, base: CamModel, options: LearnOptions
) -> None:
    folder = learned.folder
    evaluation.write_confusion(folder / CONFUSION)
    evaluation.write_predictions(folder / PREDICTIONS)
    if not options.figures:
        return
    from cam.figures.drawing import save_sheet
    from cam.learning.figures import most_sure_and_wrong_sheet, save_confusion

    save_confusion(evaluation.confusion, evaluation.class_names, folder / CONFUSION_PICTURE)
    sure, wrong = evaluation.most_sure(PICTURES_SHOWN), evaluation.most_wrong(PICTURES_SHOWN)
    shown = _explained(learned, evaluation, [*sure, *wrong], base, options)
    if shown:
        sheet = most_sure_and_wrong_sheet(
            *([shown[index] for index in group if index in shown] for group in (sure, wrong))
        )
        save_sheet(sheet, folder / PICTURES)


def _explained(
    learned: Learned,
    evaluation: Evaluation,
    chosen: Iterable[int],
    base: CamModel,
    options: LearnOptions,
) -> dict[int, tuple[str, Explanation]]:
    """Return title and explanation of some pictures, for the classes found in them."""
    part = learned.parts.test or learned.parts.train
    wanted = {int(evaluation.places[index]): int(index) for index in chosen}
    model = learned.open(base)
    explained = {}
    for place, entry in enumerate(read_entries(part.folder)):
        if place not in wanted:
            continue
        index = wanted[place]
        found, label = int(evaluation.predicted[index]), int(evaluation.labels[index])
        title = zoo.short_name(evaluation.class_names[label])
        if found != label:
            title += f"\nfound: {zoo.short_name(evaluation.class_names[found])}"
        # Of a store, the pictures may be gone.
        with suppress(CamError):
            explanation = model.explain(entry.read(), style=options.style, classes=[found])
            explained[index] = title, explanation
    return explained
