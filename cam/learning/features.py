"""Features with labels: from a store, or from pictures by way of a store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cam.batch import BatchOptions, run_entries
from cam.batch.pipeline import PieceRunner, Progress
from cam.batch.record import read_record, recorded
from cam.batch.store import is_store, read_pieces, summarize
from cam.errors import CamError
from cam.explain.model import CamModel
from cam.learning.examples import Classes, LabelledPictures
from cam.localization.boxes import Box
from cam.pictures.lists import Entry

Labels: TypeAlias = "NDArray[np.int64]"


class Block(NamedTuple):
    """Some pictures that follow each other, those that could not be read left out.

    `places` int64 (N,) are their places in the list, `features` float32 (N, K).
    """

    places: NDArray[np.int64]
    names: list[str]
    features: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FeatureStore:
    """A store with the features of labelled pictures.

    Attributes
    ----------
    folder : pathlib.Path
        The store.
    labels : numpy.ndarray
        int64: the class of each picture of its list, those that could not be read included.
    boxes : sequence of cam.localization.boxes.Box or None
        The ground truth's box of each, where all have one.
    """

    folder: Path
    labels: Labels
    boxes: Sequence[Box] | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield the pictures piece by piece; memory does not grow with their number."""
        for table in read_pieces(self.folder, ("index", "name", "status", "features")):
            read = np.array([status == "ok" for status in table["status"].to_pylist()])
            names = [name for name, ok in zip(table["name"].to_pylist(), read, strict=True) if ok]
            values = table["features"].combine_chunks().flatten().to_numpy()
            if names:
                places = table["index"].to_numpy()[read]
                yield Block(places, names, values.reshape(len(names), -1))

    def load(self) -> Block:
        """Return all pictures.

        Raises
        ------
        CamError
            If none could be read.
        """
        blocks = list(self.blocks())
        if not blocks:
            raise CamError(f"{self.folder}: none of its pictures could be read")
        return Block(
            np.concatenate([block.places for block in blocks]),
            list(chain.from_iterable(block.names for block in blocks)),
            np.concatenate([block.features for block in blocks]),
        )


class Parts(NamedTuple):
    """The training part and the held-out part, with the classes that both are of."""

    class_names: tuple[str, ...]
    train: FeatureStore
    test: FeatureStore | None

    def all(self) -> dict[str, FeatureStore]:
        """Return the parts that there are, by their names."""
        return {"train": self.train, **({} if self.test is None else {"test": self.test})}


@dataclass(frozen=True)
class FeatureMaker:
    """What makes features: a model, and how it is run.

    Attributes
    ----------
    model : cam.explain.model.CamModel
        The model.
    style : {"pycaffe", "matlab"}
        The features of one center crop, or the mean over ten crops.
    workers, progress, runner
        As for `cam.batch.run_batch`.
    """

    model: CamModel
    style: str = "pycaffe"
    workers: int | None = None
    progress: Progress | None = None
    runner: PieceRunner | None = None

    def make(self, entries: Iterable[Entry], labels: Labels, folder: Path) -> FeatureStore:
        """Make the features of pictures, or go on where an earlier call stopped."""
        options = BatchOptions(top=1, style=self.style, outputs=("features",))
        self.run(self.model, entries, folder, options)
        return FeatureStore(folder, labels)

    def run(
        self, model: CamModel, entries: Iterable[Entry], folder: Path, options: BatchOptions
    ) -> None:
        """Run a batch with a model: the one of the features, or one that was learned from them.

        The latter runs here; the workers of a cluster do not have it.
        """
        run_entries(
            model,
            entries,
            folder,
            options,
            workers=self.workers,
            progress=self.progress,
            runner=self.runner if model is self.model else None,
        )

    def check(self, folder: Path) -> None:
        """Make sure that a store has the features that this would make.

        Raises
        ------
        CamError
            If the store is not finished, has no features, or has those of another model or style.
        """
        record = read_record(folder)
        if "features" not in recorded(folder, record, "options.outputs", list):
            raise CamError(f"{folder} has no features; make one with cam batch --save features")
        if missing := summarize(folder).missing:
            raise CamError(f"{folder} is not finished: {missing} pictures are missing")
        model = recorded(folder, record, "model", dict)
        kept = _origin(model, recorded(folder, record, "options.style", str))
        wanted = json.loads(json.dumps(_origin(self.model.record, self.style)))
        for key, value in wanted.items():
            if kept[key] != value:
                raise CamError(
                    f"{folder} has the features of {model.get('model')}: {key} is "
                    f"{kept[key]!r} there and {value!r} here; name the same model and style"
                )


def _origin(record: dict[str, Any], style: str) -> dict[str, Any]:
    """Return what features depend on, but for the engine, whose rounding differs only."""
    names = ("network_sha256", "caffemodel_sha256", "last_conv", "preprocessing")
    return {**{name: record.get(name) for name in names}, "style": style}


def gather_features(
    maker: FeatureMaker,
    train: Path,
    test: Path | None,
    folder: Path,
    class_names: Sequence[str] | None = None,
    root: Path | None = None,
) -> Parts:
    """Return the features of the training part and of the held-out part.

    Parameters
    ----------
    maker : FeatureMaker
        What makes the features of pictures.
    train, test : pathlib.Path
        Stores with features, or pictures with labels (`cam.learning.examples`); a table with a
        `split` is both parts.
    folder : pathlib.Path
        Where the stores ``train`` and ``test`` are made for pictures.
    class_names : sequence of str, optional
        The names of all classes; see `cam.learning.examples.Classes.of_labels`.
    root : pathlib.Path, optional
        The folder that relative paths of lists and tables start from.

    Returns
    -------
    Parts
        Both parts; none held out if there is none.

    Raises
    ------
    CamError
        If a source cannot be used, or a label is none of the classes.
    """
    sources = LabelledPictures(train, root, numbers=class_names is not None).parts()
    if test is not None:
        if "test" in sources:
            raise CamError(f"{train} has a held-out part already; {test} would be another")
        sources["test"] = replace(sources["train"], source=test)
    classes = Classes.of_labels((picture.label for picture in sources["train"]), class_names)
    labels = {part: pictures.labels(classes) for part, pictures in sources.items()}
    stores = {
        part: _features(maker, pictures, labels[part], folder / part)
        for part, pictures in sources.items()
    }
    return Parts(classes.names, stores["train"], stores.get("test"))


def _features(
    maker: FeatureMaker, pictures: LabelledPictures, labels: Labels, folder: Path
) -> FeatureStore:
    if is_store(pictures.source):
        maker.check(pictures.source)
        return FeatureStore(pictures.source, labels)
    # Without their labels, which are none of the base network's classes.
    made = maker.make((picture.entry for picture in pictures), labels, folder)
    boxes = [picture.box for picture in pictures if picture.box is not None]
    return replace(made, boxes=boxes) if len(boxes) == len(labels) else made
