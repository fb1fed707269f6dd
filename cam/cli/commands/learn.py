"""Learn classes of your own from labelled pictures: a network that knows them, and its maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from cam import zoo
from cam.batch.store import begun_engine
from cam.cli.commands.batch import FAILURES_SHOWN, say_workers
from cam.cli.declaring import Count, argument, as_command, option, output_option
from cam.cli.messages import report_failures, show_note
from cam.cli.options import ForwardOptions, JsonOption, values_for
from cam.cli.progress import progress_bar
from cam.learning.classifier import ClassifierOptions
from cam.learning.crops import PAPER_ACCURACIES, LearnedCrops, learn_with_crops
from cam.learning.learn import FEATURES, Learned, LearnOptions
from cam.learning.learn import learn as learn_classes
from cam.learning.tables import CROPS

MEASURED = {"test": "held-out pictures", "cross-validation": "pictures in cross-validation"}


@dataclass(frozen=True)
class LearnRequest(ForwardOptions, JsonOption):
    """Which pictures, and how their classes are learned."""

    train: Path = argument("TRAIN")
    test: Path | None = option("Held-out pictures, to be tested on.")
    output: Path = output_option("Folder to write.", required=True, metavar="OUT")
    kind: Literal["svm", "logistic"] = option(
        "svm: a linear support vector machine, as in the paper; logistic: for probabilities.",
        "--classifier",
        default="svm",
    )
    C: float | None = option("What errors cost. Default: by cross-validation.", "--C")
    folds: int = option("Parts of the cross-validation.", default=3)
    balanced: bool = option("Let classes of few pictures count as much.")
    standardize: bool = option("Give each feature mean 0 and variance 1 first.")
    seed: int = option("Of the cross-validation.", default=0)
    style: str = option(
        "pycaffe: features of the center crop; matlab: the mean over ten crops.", default="pycaffe"
    )
    class_names: Path | None = option("The names of the classes, a text file.")
    root: Path | None = option("Where relative paths of lists and tables start.")
    features: Path | None = option("Folder for the features. Default: OUT/features.")
    data_set: str = option("The name of the data, for cam tables.", default="")
    crop: bool = option(
        "Learn again from the crops that the maps of the first classifier give (section 4.1)."
    )
    no_figures: bool = option("Do not draw; matplotlib is not needed then.")
    workers: Count | None = option("Threads that read pictures.")
    scheduler: str | None = option("Make the features on a Dask cluster: tcp://HOST:8786.")

    @property
    def first_store(self) -> Path:
        """The store of the training part's features, unless TRAIN is one itself."""
        return (self.features or self.output / FEATURES) / "train"

    @property
    def options(self) -> LearnOptions:
        """How the classes are learned."""
        names = None if self.class_names is None else zoo.read_class_names(self.class_names)
        special = {
            "classifier": ClassifierOptions(**values_for(ClassifierOptions, self)),
            "class_names": names,
            "figures": not self.no_figures,
        }
        return LearnOptions(**{**values_for(LearnOptions, self), **special})


@as_command
def learn(request: LearnRequest) -> int:
    """Learn the classes of labelled pictures, and write a network that knows them.

    TRAIN is a folder with a folder of pictures for each class, one of Caffe's lists (path and class
    number), a table (.csv with the columns path and label, and split for a held-out part) or a
    store that cam batch --save features has made.
    """
    options = request.options
    if request.engine is None:
        request = replace(request, engine=begun_engine(request.first_store))
    model, runner = request.open(), None
    if request.scheduler is not None:
        from cam.batch.cluster import DaskRunner

        runner = DaskRunner(request.scheduler, request.open, say_workers)
    crops: LearnedCrops | None = None
    with progress_bar("pictures", rate=True, stays=True) as bar:
        what = (model, request.train, request.output, request.test, options)
        if request.crop:
            crops = learn_with_crops(*what, progress=bar, runner=runner)
            learned, record = crops.full, crops.record
        else:
            learned = learn_classes(*what, progress=bar, runner=runner)
            record = learned.record
    request.show(record, [*_lines(learned), *_crop_lines(crops)])
    show_note(model.network)
    shown = islice(learned.failures(), FAILURES_SHOWN)
    return report_failures(f"{name}: {reason}" for name, reason in shown)


def _lines(learned: Learned) -> Iterator[str]:
    record: dict[str, Any] = learned.record
    yield (
        f"{learned.folder}: {len(record['classes'])} classes from "
        f"{sum(record['training_pictures'])} pictures, C = {record['classifier']['C']:g}"
    )
    if record["accuracy"] is not None:
        yield (
            f"accuracy {record['accuracy']:.2%}, mean over the classes "
            f"{record['mean_class_accuracy']:.2%}, of {record['pictures']} "
            f"{MEASURED[record['measured_on']]}"
        )
    yield f"cam run PICTURE --prototxt {learned.prototxt} --weights {learned.caffemodel}"


def _crop_lines(crops: LearnedCrops | None) -> Iterator[str]:
    for kind, accuracy in {} if crops is None else crops.accuracies().items():
        paper = f"(the paper, CUB-200-2011: {PAPER_ACCURACIES[kind]:.1f} %)"
        yield f"{CROPS[kind]:18s}  {accuracy:6.2f} %   {paper}"
