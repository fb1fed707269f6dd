"""What a report is made of: stores of `cam batch` and folders of `cam run`, picture by picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cam.batch.store import is_store, summarize
from cam.batch.stored import StoredRow, StoreReader
from cam.errors import CamError
from cam.explain.explanation import RESULT_FILE, Explanation
from cam.files import PathLike, read_json
from cam.pictures.reading import Picture
from cam.viewer.payload import Precision, number


@dataclass(frozen=True, eq=False)
class ReportPicture:
    """A picture of a report.

    Attributes
    ----------
    name : str
        What it is called.
    reason : str
        Why it could not be explained; empty if it was.
    label : int or None
        The class that it is labelled with, from 0, and its name.
    label_name : str
        That class's name.
    explanation : cam.explain.explanation.Explanation or None
        Its classes and maps; maps of no size where none were kept.
    picture : numpy.ndarray or None
        The picture itself, if it is at hand.
    has_frame : bool
        Whether the explanation's frame shows the picture; not, if its file was not found.
    boxes : sequence or None
        For each class its boxes, where they were kept.
    precision : {"float16", "float32"}
        That the maps were kept in.
    """

    name: str
    reason: str = ""
    label: int | None = None
    label_name: str = ""
    explanation: Explanation | None = None
    picture: Picture | None = None
    has_frame: bool = True
    boxes: Sequence[Any] | None = None
    precision: Precision = "float32"

    @property
    def summary(self) -> dict[str, Any]:
        """What the list of the report says of it, ready for JSON."""
        said: dict[str, Any] = {"name": self.name, "status": "failed", "reason": self.reason}
        if self.label is not None:
            said["label"] = {"index": self.label, "name": self.label_name}
        if self.explanation is None:
            return said
        indices, names = self.explanation.indices.tolist(), self.explanation.names
        if not indices:
            raise CamError("no class of it was explained")
        rows, columns = self.explanation.picture_size
        said |= {"status": "ok", "rows": rows, "columns": columns, "classes": list(names[1:])}
        share = number(self.explanation.probabilities[0])
        said["top"] = {"index": indices[0], "name": names[0], "probability": share}
        said["wrong"] = self.label is not None and self.label != indices[0]
        return said


Job = Callable[[], ReportPicture]
"""Reads one picture of a report; calls may run side by side."""


class Source(Protocol):
    """A store or a folder of results."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def count(self) -> int:
        """How many pictures it has."""

    @property
    def map_bytes(self) -> int:
        """How many bytes the raw maps of a picture have in a payload."""

    @property
    def record(self) -> Any:
        """How its results were made, ready for JSON."""

    @property
    def lines(self) -> list[str]:
        """What it is, for people."""

    @property
    def notes(self) -> list[str]:
        """What a reader should know before looking."""

    def jobs(self) -> Iterator[Job]:
        """Yield what reads its pictures, in their order."""


class StoreSource:
    """A store of `cam batch`."""

    def __init__(self, folder: Path) -> None:
        self.reader = StoreReader(folder)
        self.summary = summarize(folder)
        self.name = folder.resolve().name
        self.count = self.summary.explained + self.summary.failed
        self.record = self.reader.record
        self.map_bytes = _base64_bytes(self.reader.map_numbers * self.reader.map_precision.itemsize)

    @property
    def lines(self) -> list[str]:
        """Model, style, and how many pictures; the accuracy where labels are given."""
        counts = [f"{self.count} pictures"]
        if self.summary.failed:
            counts.append(f"{self.summary.failed} could not be read")
        counts += [
            f"top-{count} accuracy {share:.1%}"
            for count, share in self.summary.top_accuracy.items()
        ]
        return [_made_by(self.record["model"], self.record["options"]), ", ".join(counts)]

    @property
    def notes(self) -> list[str]:
        """What is missing in the store."""
        notes = []
        if "maps" not in self.reader.outputs:
            notes.append("The store has no raw maps: make it with --save maps to see heat.")
        if self.summary.missing:
            notes.append(f"Not finished: {self.summary.missing} pictures are not done yet.")
        return notes

    def jobs(self) -> Iterator[Job]:
        """Yield what reads its pictures, in the order of its list."""
        for row in self.reader.rows():
            yield _RowJob(self.reader, row)


@dataclass(frozen=True)
class _RowJob:
    reader: StoreReader
    row: StoredRow

    def __call__(self) -> ReportPicture:
        row, values = self.row, self.row.values
        label = values["label"]
        told: dict[str, Any] = {"name": values["name"], "label": label}
        if label is not None:
            told["label_name"] = self.reader.class_name(label)
        if not row.is_explained:
            return ReportPicture(**told, reason=values["reason"] or "no reason was kept")
        picture = None
        with suppress(CamError):
            picture = row.entry.read()
        try:
            explanation = self.reader.explanation(row, picture)
        except CamError as error:
            return ReportPicture(**told, reason=str(error))
        kept = values.get("boxes")
        return ReportPicture(
            **told,
            explanation=explanation,
            picture=picture,
            has_frame=picture is not None,
            boxes=kept if kept and len(kept) == len(explanation.names) else None,
            precision="float16" if self.reader.map_precision == np.float16 else "float32",
        )


@dataclass(frozen=True)
class FolderSource:
    """Results of `cam run`: one, or a folder of them.

    Attributes
    ----------
    folder : pathlib.Path
        The folder.
    results : tuple of pathlib.Path
        The results in it.
    records : list of dict
        How they were made, each way once.
    map_bytes : int
        How many bytes the raw maps of one of them have in a payload.
    """

    folder: Path
    results: tuple[Path, ...]
    records: list[dict[str, Any]]
    map_bytes: int

    @classmethod
    def find(cls, folder: Path) -> FolderSource:
        """Find the results in a folder and in its folders.

        Raises
        ------
        CamError
            If there is none.
        """
        results = tuple(sorted(path.parent for path in folder.rglob(RESULT_FILE)))
        if not results:
            raise CamError(
                f"{folder} is neither a store of cam batch nor a folder of cam run: no "
                f"{RESULT_FILE} is in it"
            )
        records: list[dict[str, Any]] = []
        for result in results:
            with suppress(CamError, LookupError, TypeError):
                record = dict(read_json(result / RESULT_FILE)["record"])
                if record not in records:
                    records.append(record)
        return cls(folder, results, records, _base64_bytes(_maps_bytes(results)))

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def count(self) -> int:
        """How many results it has."""
        return len(self.results)

    @property
    def record(self) -> Any:
        """How its results were made; a list if in several ways."""
        return self.records[0] if len(self.records) == 1 else self.records

    @property
    def lines(self) -> list[str]:
        """Models and styles, and how many pictures."""
        made = dict.fromkeys(_made_by(record, record) for record in self.records)
        return ["; ".join(made), f"{self.count} pictures"]

    @property
    def notes(self) -> list[str]:
        """Nothing: each result is whole or says why not."""
        return []

    def jobs(self) -> Iterator[Job]:
        """Yield what reads its results, sorted by their folders."""
        for result in self.results:
            inner = result.relative_to(self.folder).as_posix()
            yield _ResultJob(self.name if inner == "." else inner, result)


@dataclass(frozen=True)
class _ResultJob:
    name: str
    folder: Path

    def __call__(self) -> ReportPicture:
        try:
            explanation = Explanation.load(self.folder)
            _check_arrays(explanation)
        except CamError as error:
            return ReportPicture(self.name, reason=str(error))
        picture = None
        with suppress(CamError):
            picture = explanation.picture
        return ReportPicture(self.name, explanation=explanation, picture=picture)


def _check_arrays(explanation: Explanation) -> None:
    """Check that the arrays of a result, which come from anyone, fit each other.

    Raises
    ------
    CamError
        If they do not.
    """
    frame, maps, indices = explanation.frame, explanation.maps, explanation.indices
    classes = len(explanation.names)
    is_frame = frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[1:] == (len(frame), 3)
    are_maps = maps.dtype.kind == "f" and maps.ndim == 4 and maps.shape[1] == classes
    are_classes = indices.dtype.kind in "iu" and indices.shape == (classes,) and classes > 0
    if not (is_frame and are_maps and are_classes and indices.max() < len(explanation.scores)):
        raise CamError("damaged: the arrays of the result do not fit each other")


def _maps_bytes(results: Sequence[Path]) -> int:
    """Return the bytes of the raw maps of the first result that can be read."""
    for result in results:
        with suppress(CamError):
            return Explanation.load(result).maps.nbytes
    return 0


def _base64_bytes(count: int) -> int:
    return -(-count // 3) * 4


def _made_by(model: dict[str, Any], options: dict[str, Any]) -> str:
    style = options.get("style")
    placement = options.get("placement", "stretch")
    told = [model.get("model"), f"style {style}" if style else None]
    told += [f"placement {placement}"] if placement != "stretch" else []
    told += [f"{model.get('engine')} on {model.get('device')}"]
    return ", ".join(str(part) for part in told if part)


def open_source(path: PathLike) -> Source:
    """Return a store of `cam batch` or a folder with results of `cam run`.

    Raises
    ------
    CamError
        If it is neither.
    """
    folder = Path(path)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise CamError(f"{folder} {what}; name a store of cam batch or a folder of cam run")
    return StoreSource(folder) if is_store(folder) else FolderSource.find(folder)
