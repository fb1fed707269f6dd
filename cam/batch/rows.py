"""What a batch keeps of each picture: its options, and the columns of the store's tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked_fields
from cam.batch.pieces import import_parquet
from cam.batch.store import PieceResult
from cam.caffe.loaded import LoadedNetwork
from cam.errors import CamError, nearest_names
from cam.explain.explanation import Explanation
from cam.localization import RULES, TOP, BoxRule, Rule
from cam.pictures.lists import Entry

PRECISIONS = ("float16", "float32")
HEAT_FORMATS = ("png", "jpg")
LAYOUTS = ("store", "ilsvrc")
"""``"ilsvrc"`` writes the folder of the original's ILSVRC heat maps as well."""
CLASSES = ("top", "label")
"""Which classes of a picture are explained: the best ones, or the one that it is labelled with."""

_ILSVRC_FOLDER = "ilsvrc"


@checked_fields
@dataclass(frozen=True)
class BatchOptions:
    """What a batch makes of each picture. Everything here changes what the store holds.

    Attributes
    ----------
    top : int or None
        How many classes; None for 5, or all of fewer.
    style, placement : str
        As for `cam.explain.model.CamModel.explain`.
    outputs : tuple of str
        Which of `OUTPUTS` are kept.
    precision : {"float16", "float32"}
        Of raw maps and scores.
    heat_format : {"png", "jpg"}
        Of heat maps.
    box_rule : {"original", "paper"}
        How boxes are found; see `cam.localization.boxes.find_boxes`.
    layout : {"store", "ilsvrc"}
        Whether the original's folder of ILSVRC heat maps is written, too.
    batch_size : int or None
        How many pictures go through the network in one request; None for what suits the engine.
    piece_size : int
        How many pictures are committed together.
    classes : {"top", "label"}
        Which classes are explained: the best `top` ones, or the one that the picture is labelled
        with.

    Raises
    ------
    CamError
        If a value is not one of these.
    """

    top: int | None = None
    style: str = "pycaffe"
    placement: str = "stretch"
    outputs: tuple[str, ...] = ("maps",)
    precision: str = "float16"
    heat_format: str = "png"
    box_rule: Rule = "original"
    layout: str = "store"
    batch_size: int | None = None
    piece_size: int = 64
    classes: str = "top"

    def __post_init__(self) -> None:
        chosen = (
            *(("output", output, OUTPUTS) for output in self.outputs),
            ("precision", self.precision, PRECISIONS),
            ("heat format", self.heat_format, HEAT_FORMATS),
            ("box rule", self.box_rule, RULES),
            ("layout", self.layout, LAYOUTS),
            ("choice of classes", self.classes, CLASSES),
        )
        for what, value, known in chosen:
            if value not in known:
                raise CamError(
                    f"no {what} {value!r}{nearest_names(value, known)}; there are {list(known)}"
                )
        if self.piece_size < 1 or (self.batch_size is not None and self.batch_size < 1):
            raise CamError("a batch and a piece have 1 picture or more")
        if self.layout == "ilsvrc" and self.top is not None and self.top < TOP:
            raise CamError(f"the ILSVRC layout has the top {TOP} classes")
        if self.classes == "label" and self.top != 1:
            raise CamError("a label is one class: it goes with the top 1 only")
        # The order in which they are asked for must not make another store.
        ordered = tuple(output for output in OUTPUTS if output in self.outputs)
        object.__setattr__(self, "outputs", ordered)

    @property
    def record(self) -> dict[str, Any]:
        """What a store's record says of them."""
        options = {**asdict(self), "outputs": list(self.outputs)}
        del options["piece_size"]
        if self.classes == CLASSES[0]:
            del options["classes"]
        return options


@dataclass(frozen=True)
class ExplainedPicture:
    """A picture of a list and its explanation, or why there is none.

    Attributes
    ----------
    index : int
        Its place in the list, from 0.
    entry : cam.pictures.lists.Entry
        The picture.
    explanation : cam.explain.explanation.Explanation or None
        The explanation.
    reason : str
        Why there is none.
    """

    index: int
    entry: Entry
    explanation: Explanation | None = None
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """A picture's line of the table, and its other files."""

    index: int
    values: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class _Column:
    """A column that is kept if it is asked for.

    Attributes
    ----------
    name : str
        The column's name.
    type : callable
        Takes PyArrow and the type of numbers that is asked for; returns the column's type.
    value : callable
        Takes an explanation and the options; returns the column's value.
    shape : callable, optional
        For arrays, which are stored flat: takes the network and the shape of the raw maps.
    numbers : str, optional
        For arrays: their type, if it is not the one that is asked for.
    """

    name: str
    type: Callable[[Any, Any], Any]
    value: Callable[[Explanation, BatchOptions], Any]
    shape: Callable[[LoadedNetwork, Sequence[int]], Sequence[int]] | None = None
    numbers: str = ""


def _maps(explanation: Explanation, options: BatchOptions) -> Any:
    return explanation.maps.astype(options.precision).ravel()


def _scores(explanation: Explanation, options: BatchOptions) -> Any:
    return explanation.scores.astype(options.precision)


def _boxes(explanation: Explanation, options: BatchOptions) -> list[list[list[int]]]:
    rule = BoxRule(options.box_rule)
    return [
        [list(box) for box in explanation.boxes(k, rule)] for k in range(len(explanation.indices))
    ]


def _heat_maps(explanation: Explanation, options: BatchOptions) -> list[bytes]:
    return [_encoded(options.heat_format, heat_map) for heat_map in explanation.heat_maps]


_COLUMNS: Mapping[str, _Column] = {
    "maps": _Column("maps", lambda pa, number: pa.list_(number), _maps, lambda _, maps: maps),
    "scores": _Column(
        "scores",
        lambda pa, number: pa.list_(number),
        _scores,
        lambda network, _: [len(network.class_names)],
    ),
    "boxes": _Column("boxes", lambda pa, _: pa.list_(pa.list_(pa.list_(pa.int32()))), _boxes),
    "heat-maps": _Column("heat_maps", lambda pa, _: pa.list_(pa.binary()), _heat_maps),
    "features": _Column(
        "features",
        lambda pa, _: pa.list_(pa.float32()),
        lambda explanation, _: explanation.features,
        lambda network, _: [network.feature_count],
        numbers="float32",
    ),
}

OUTPUTS = tuple(_COLUMNS)
"""What can be kept of each picture beside its top classes and their probabilities."""


def array_types(
    options: BatchOptions, network: LoadedNetwork, map_shape: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """Return shape and type of the numbers of each column that holds arrays, by its name."""
    columns = [_COLUMNS[output] for output in options.outputs]
    return {
        column.name: {
            "shape": list(column.shape(network, map_shape)),
            "type": column.numbers or options.precision,
        }
        for column in columns
        if column.shape is not None
    }


def make_row(options: BatchOptions, picture: ExplainedPicture) -> Row:
    """Return what is stored of a picture."""
    entry, explanation = picture.entry, picture.explanation
    named = {"index": picture.index, "name": entry.name, "label": entry.label}
    reason = picture.reason
    if explanation is not None:
        try:
            return _explained_row(options, named, entry, explanation)
        except CamError as error:
            reason = f"cannot be explained: {error}"
    return Row(picture.index, {**named, "status": "failed", "reason": reason})


def _explained_row(
    options: BatchOptions, named: Mapping[str, Any], entry: Entry, explanation: Explanation
) -> Row:
    rows, columns = explanation.picture_size
    values = {
        **named,
        "status": "ok",
        "height": rows,
        "width": columns,
        "top_index": explanation.indices.astype(np.int32),
        "top_probability": explanation.probabilities,
    }
    for output in options.outputs:
        column = _COLUMNS[output]
        values[column.name] = column.value(explanation, options)
    files = _ilsvrc_files(explanation, entry.name) if options.layout == "ilsvrc" else {}
    return Row(named["index"], values, files)


def _ilsvrc_files(explanation: Explanation, name: str) -> dict[str, bytes]:
    # As bytes, since a worker of a cluster may not reach the store.
    with TemporaryDirectory() as folder:
        explanation.to_ilsvrc(folder, PurePosixPath(name).stem)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {
            f"{_ILSVRC_FOLDER}/{path.relative_to(folder).as_posix()}": path.read_bytes()
            for path in files
        }


def _encoded(kind: str, heat_map: NDArray[np.float64]) -> bytes:
    levels = np.floor(heat_map * 255 + 0.5).astype(np.uint8)
    return bytes(cv2.imencode(f".{kind}", levels)[1])


def piece_result(
    options: BatchOptions, map_shape: Sequence[int], rows: Sequence[Row]
) -> PieceResult:
    """Return the table of a piece's rows and its other files, ready to be committed."""
    import pyarrow

    schema = _schema(options, map_shape)
    table = pyarrow.table(
        [
            pyarrow.array([row.values.get(column.name) for row in rows], column.type)
            for column in schema
        ],
        schema,
    )
    sink = pyarrow.BufferOutputStream()
    import_parquet().write_table(table, sink, compression="zstd", use_dictionary=False)
    files = {name: data for row in rows for name, data in row.files.items()}
    number = rows[0].index // options.piece_size
    return PieceResult(number, sink.getvalue().to_pybytes(), files)


def _schema(options: BatchOptions, map_shape: Sequence[int]) -> Any:
    import pyarrow as pa

    number = {"float16": pa.float16(), "float32": pa.float32()}[options.precision]
    described = {"maps": {"shape": json.dumps(list(map_shape))}}
    columns = [_COLUMNS[output] for output in options.outputs]
    return pa.schema(
        [
            pa.field("index", pa.int64(), nullable=False),
            pa.field("name", pa.string(), nullable=False),
            pa.field("status", pa.string(), nullable=False),
            pa.field("reason", pa.string()),
            pa.field("label", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("width", pa.int32()),
            pa.field("top_index", pa.list_(pa.int32())),
            pa.field("top_probability", pa.list_(pa.float32())),
            *(
                pa.field(column.name, column.type(pa, number), metadata=described.get(column.name))
                for column in columns
            ),
        ]
    )
