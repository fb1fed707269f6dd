"""Many pictures: reading, the network and the mapping overlap, and a store takes the results.

Each stage keeps a bounded number of pictures ahead of the next one, so that memory stays the same
however long the list. Which pictures share a batch depends on the list alone, never on timing, and
so results have the same bits in every run on the same machine.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from itertools import groupby
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cam import __version__
from cam.batch.store import Piece, PieceResult, Summary, import_parquet, open_store
from cam.engines import Engine, NetworkOutput
from cam.errors import CamError, nearest_names
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel
from cam.explain.styles import NetworkInput, Style, get_style
from cam.localization.boxes import RULES, Rule, find_boxes, picture_heatmap
from cam.localization.ilsvrc_heatmaps import TOP, write_ilsvrc_heatmaps
from cam.pictures.lists import Entry, find_pictures

__all__ = [
    "HEAT_FORMATS",
    "LAYOUTS",
    "OUTPUTS",
    "PRECISIONS",
    "BatchOptions",
    "BatchWork",
    "PieceRunner",
    "Progress",
    "ahead",
    "run_batch",
    "run_pieces",
]

OUTPUTS = ("maps", "scores", "boxes", "heat-maps")
"""What can be kept of each picture beside its top classes and their probabilities."""
PRECISIONS = ("float16", "float32")
HEAT_FORMATS = ("png", "jpg")
LAYOUTS = ("store", "ilsvrc")
"""``"ilsvrc"`` writes the folder of the original's ILSVRC heat maps as well."""

_ILSVRC_FOLDER = "ilsvrc"
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class BatchOptions:
    """What a batch makes of each picture. Everything here changes what the store holds.

    Attributes
    ----------
    top : int
        How many classes.
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

    Raises
    ------
    CamError
        If a value is not one of these.
    """

    top: int = 5
    style: str = "pycaffe"
    placement: str = "stretch"
    outputs: tuple[str, ...] = ("maps",)
    precision: str = "float16"
    heat_format: str = "png"
    box_rule: Rule = "original"
    layout: str = "store"
    batch_size: int | None = None
    piece_size: int = 64

    def __post_init__(self) -> None:
        chosen = (
            *(("output", output, OUTPUTS) for output in self.outputs),
            ("precision", self.precision, PRECISIONS),
            ("heat format", self.heat_format, HEAT_FORMATS),
            ("box rule", self.box_rule, RULES),
            ("layout", self.layout, LAYOUTS),
        )
        for what, value, known in chosen:
            if value not in known:
                raise CamError(
                    f"no {what} {value!r}{nearest_names(value, known)}; there are {list(known)}"
                )
        if self.piece_size < 1 or (self.batch_size is not None and self.batch_size < 1):
            raise CamError("a batch and a piece have 1 picture or more")
        if self.layout == "ilsvrc" and (self.style != "matlab" or self.top < TOP):
            raise CamError(f"the ILSVRC layout has the top {TOP} classes in the matlab style")
        # The order in which they are asked for must not make another store.
        ordered = tuple(output for output in OUTPUTS if output in self.outputs)
        object.__setattr__(self, "outputs", ordered)


class Progress(Protocol):
    """Is told how far a batch is."""

    def begin(self, done: int, total: int) -> None:
        """Say how many pictures were done before, and how many there are."""

    def advance(self, pictures: int) -> None:
        """Say that so many more are done."""


class _Silent:
    def begin(self, done: int, total: int) -> None:
        pass

    def advance(self, pictures: int) -> None:
        pass


@dataclass(frozen=True)
class BatchWork:
    """A model and what it has to make of pictures.

    Attributes
    ----------
    model : cam.explain.model.CamModel
        The model.
    options : BatchOptions
        Options with a batch size.
    map_shape : tuple of int
        (crops, T, h, w) of a picture's raw maps.
    workers : int
        Threads that read pictures and make maps beside the network's own.
    """

    model: CamModel
    options: BatchOptions
    map_shape: tuple[int, ...]
    workers: int

    @classmethod
    def plan(cls, model: CamModel, options: BatchOptions, workers: int | None = None) -> BatchWork:
        """Settle what depends on the model: the batch size and the shape of the maps.

        Raises
        ------
        CamError
            If the options do not fit the model.
        """
        style = get_style(options.style, options.placement)
        model.check_top(options.top)
        pictures = options.batch_size or max(1, model.engine.batch_size // style.crops)
        return cls(
            model,
            replace(options, batch_size=pictures),
            (style.crops, options.top, *model.network.map_size),
            workers or min(os.cpu_count() or 1, 16),
        )

    def settings(self) -> dict[str, Any]:
        """Return what the results depend on: model, options, versions and shapes."""
        arrays: dict[str, Any] = {}
        if "maps" in self.options.outputs:
            arrays["maps"] = {"shape": list(self.map_shape), "type": self.options.precision}
        if "scores" in self.options.outputs:
            classes = len(self.model.class_names)
            arrays["scores"] = {"shape": [classes], "type": self.options.precision}
        options = asdict(self.options)
        options.pop("piece_size")
        return {
            "model": dict(self.model.record),
            "preprocessing": asdict(self.model.preprocessing),
            "options": {**options, "outputs": list(self.options.outputs)},
            "versions": versions(self.model.engine),
            "arrays": arrays,
        }


class PieceRunner(Protocol):
    """Turns pieces of a list into what is stored, here or on other machines."""

    def __call__(
        self, work: BatchWork, pieces: Iterable[Piece], on_pictures: Callable[[int], object]
    ) -> Generator[PieceResult, None, None]:
        """Yield the results of the pieces in any order, and tell how many pictures are done."""


def run_batch(
    model: CamModel,
    inputs: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    options: BatchOptions | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    runner: PieceRunner | None = None,
) -> Summary:
    """Make the class activation maps of many pictures, or go on where an earlier call stopped.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The model.
    inputs : sequence of path-like
        Folders, globs, lists, tables, tar files and pictures; see
        `cam.pictures.lists.find_pictures`.
    folder : path-like
        The store: see `cam.batch.store` and the documentation (docs/batch.md).
    options : BatchOptions, optional
        What to make of each picture.
    root : path-like, optional
        The folder that relative paths of lists and tables start from.
    workers : int, optional
        Threads that read pictures and make maps; one for each processor, at most 16, if not given.
    progress : Progress, optional
        Is told how far the batch is.
    runner : PieceRunner, optional
        What does the work: this process if not given, or a cluster
        (`cam.batch.cluster.DaskRunner`).

    Returns
    -------
    cam.batch.store.Summary
        What the store holds, earlier calls' pictures included.

    Raises
    ------
    CamError
        If an input or the store cannot be used, the store was begun with other settings or
        another list, it is in use, or the disk is full. What was committed stays.

    Examples
    --------
    >>> import cam
    >>> model = cam.load("googlenet")  # doctest: +SKIP
    >>> summary = run_batch(model, ["val.txt"], "store")  # doctest: +SKIP
    """
    import_parquet()
    work = BatchWork.plan(model, options or BatchOptions(), workers)
    told = progress or _Silent()
    entries = find_pictures(inputs, model.class_names, root)
    if work.options.layout == "ilsvrc":
        entries = _with_unique_stems(entries)
    with ExitStack() as stack:
        store = stack.enter_context(
            open_store(folder, work.settings(), entries, model.class_names, work.options.piece_size)
        )
        told.begin(store.done_pictures(), store.count)
        writer = stack.enter_context(ThreadPoolExecutor(1, "cam-write"))
        results = (runner or run_pieces)(work, store.missing(), told.advance)
        stack.enter_context(closing(results))
        commits = ahead(lambda result: writer.submit(store.commit, result).result, results, 1)
        stack.enter_context(closing(commits))
        for _ in commits:
            pass
        return store.finish()


def run_pieces(
    work: BatchWork, pieces: Iterable[Piece], on_pictures: Callable[[int], object]
) -> Generator[PieceResult, None, None]:
    """Do pieces in this process, in their order; a `PieceRunner`.

    Parameters
    ----------
    work : BatchWork
        What to do.
    pieces : iterable of cam.batch.store.Piece
        The pictures.
    on_pictures : callable
        Called with the number of pictures that are done since the last call.

    Yields
    ------
    cam.batch.store.PieceResult
        One for each piece.
    """
    size = work.options.piece_size
    pool = ThreadPoolExecutor(work.workers, "cam-batch")
    try:
        with _ONE_THREAD_EACH[not work.model.engine.needs_blas_threads]:
            rows = _explained_rows(work, pieces, pool, on_pictures)
            groups = (list(group) for _, group in groupby(rows, lambda row: row.index // size))
            stored = ahead(lambda group: pool.submit(_piece_result, work, group).result, groups, 1)
            with closing(stored):
                yield from stored
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def ahead(
    start: Callable[[_Item], Callable[[], _Result]], items: Iterable[_Item], count: int
) -> Generator[_Result, None, None]:
    """Yield results in the order of the items, with the work on later ones begun already.

    Parameters
    ----------
    start : callable
        Begins the work on an item and returns what waits for its result.
    items : iterable
        The items; they are taken as they are needed.
    count : int
        On how many later items work goes on while a result is used.

    Yields
    ------
    object
        The results.

    Examples
    --------
    >>> with ThreadPoolExecutor() as pool:
    ...     list(ahead(lambda n: pool.submit(pow, n, 2).result, range(4), 2))
    [0, 1, 4, 9]
    """
    started: deque[Callable[[], _Result]] = deque()
    try:
        for item in items:
            started.append(start(item))
            if len(started) > count:
                yield started.popleft()()
        while started:
            yield started.popleft()()
    finally:
        # What runs still writes into its arrays: they must not go before it ends.
        for wait in started:
            with suppress(Exception):
                wait()


def versions(engine: Engine) -> dict[str, str]:
    """Return the versions of what the results of an engine depend on."""
    modules = {"numpy": "numpy", "opencv": "cv2", "pyarrow": "pyarrow"}
    found = {name: str(import_module(module).__version__) for name, module in modules.items()}
    return {"cam": __version__, **found, **dict([engine.version])}


class _OneThreadEach:
    """Keeps OpenCV and BLAS from starting threads of their own beside the stages' threads.

    Batches that run at the same time in one process share it; the last one puts things back.
    """

    def __init__(self, blas: bool) -> None:
        self._blas = blas
        self._lock = threading.Lock()
        self._users = 0
        self._restore = ExitStack()

    def __enter__(self) -> None:
        from threadpoolctl import threadpool_limits

        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self._restore.callback(cv2.setNumThreads, cv2.getNumThreads())
            cv2.setNumThreads(1)
            if self._blas:
                self._restore.enter_context(threadpool_limits(1, user_api="blas"))

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._restore.close()


_ONE_THREAD_EACH = {limit_blas: _OneThreadEach(limit_blas) for limit_blas in (False, True)}


def _with_unique_stems(entries: Iterable[Entry]) -> Iterator[Entry]:
    seen: dict[str, str] = {}
    for entry in entries:
        stem = PurePosixPath(entry.name).stem
        if stem in seen:
            raise CamError(
                f"{seen[stem]} and {entry.name} would have the same file in the ILSVRC layout, "
                "which has no folders; rename one"
            )
        seen[stem] = entry.name
        yield entry


@dataclass(frozen=True)
class _Read:
    """A picture that was read, or why it could not be."""

    index: int
    entry: Entry
    reason: str = ""
    prepared: NetworkInput | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Row:
    """A picture's line of the table, and its other files."""

    index: int
    values: Mapping[str, Any]
    files: Mapping[str, bytes]


def _explained_rows(
    work: BatchWork,
    pieces: Iterable[Piece],
    pool: Executor,
    on_pictures: Callable[[int], object],
) -> Iterator[_Row]:
    options = work.options
    style = get_style(options.style, options.placement)
    batch_size = options.batch_size or 1

    def batch_of(read: _Read) -> tuple[int, int]:
        piece, place = divmod(read.index, options.piece_size)
        return piece, place // batch_size

    items = (
        (piece.first + place, entry)
        for piece in pieces
        for place, entry in enumerate(piece.entries)
    )
    read = ahead(
        lambda item: pool.submit(_read, work.model, style, *item).result,
        items,
        2 * max(work.workers, batch_size),
    )
    batches = (list(group) for _, group in groupby(read, batch_of))
    in_flight = work.model.engine.requests_in_flight(batch_size * style.crops)
    forwarded = ahead(partial(_start, work.model), batches, in_flight)
    explain = partial(_rows, work, style)
    explained = ahead(lambda item: pool.submit(explain, *item).result, forwarded, work.workers)
    with closing(explained):
        for rows in explained:
            on_pictures(len(rows))
            yield from rows


def _read(model: CamModel, style: Style, index: int, entry: Entry) -> _Read:
    try:
        picture = entry.read()
        prepared = style.prepare(picture, model.crop_size, model.preprocessing)
    except CamError as error:
        return _Read(index, entry, str(error).removeprefix(f"{entry.name}: "))
    except (cv2.error, MemoryError) as error:
        return _Read(index, entry, f"cannot be used: {' '.join(str(error).split())}")
    return _Read(index, entry, prepared=prepared, size=(picture.shape[0], picture.shape[1]))


def _start(
    model: CamModel, batch: Sequence[_Read]
) -> Callable[[], tuple[Sequence[_Read], NetworkOutput | None]]:
    inputs = [read.prepared.batch for read in batch if read.prepared is not None]
    if not inputs:
        return lambda: (batch, None)
    wait = model.engine.submit(inputs[0] if len(inputs) == 1 else np.concatenate(inputs))
    return lambda: (batch, wait())


def _rows(
    work: BatchWork, style: Style, batch: Sequence[_Read], forward: NetworkOutput | None
) -> list[_Row]:
    rows, crop = [], 0
    for read in batch:
        if read.prepared is None or read.size is None or forward is None:
            rows.append(_failed_row(read))
            continue
        of_picture = forward.inputs(crop, style.crops)
        crop += style.crops
        try:
            rows.append(_row(work, style, read, read.size, of_picture))
        except CamError as error:
            rows.append(_failed_row(replace(read, reason=f"cannot be explained: {error}")))
    return rows


def _failed_row(read: _Read) -> _Row:
    values = {
        "index": read.index,
        "name": read.entry.name,
        "status": "failed",
        "reason": read.reason,
        "label": read.entry.label,
    }
    return _Row(read.index, values, {})


def _row(
    work: BatchWork, style: Style, read: _Read, size: tuple[int, int], forward: NetworkOutput
) -> _Row:
    options = work.options
    assert read.prepared is not None
    explanation = work.model.explain_output(read.prepared, forward, style, options.top)
    values: dict[str, Any] = {
        "index": read.index,
        "name": read.entry.name,
        "status": "ok",
        "label": read.entry.label,
        "height": size[0],
        "width": size[1],
        "top_index": explanation.indices.astype(np.int32),
        "top_probability": explanation.probabilities,
    }
    if "maps" in options.outputs:
        values["maps"] = explanation.maps.astype(options.precision).ravel()
    if "scores" in options.outputs:
        values["scores"] = explanation.scores.astype(options.precision)
    if "heat-maps" in options.outputs:
        values["heat_maps"] = [
            _encoded(options.heat_format, heat_map) for heat_map in explanation.heat_maps
        ]
    if "boxes" in options.outputs:
        values["boxes"] = [
            [list(box) for box in find_boxes(picture_heatmap(merged, size), options.box_rule)]
            for merged in explanation.merged
        ]
    files = _ilsvrc_files(explanation, size, read.entry.name) if options.layout == "ilsvrc" else {}
    return _Row(read.index, values, files)


def _ilsvrc_files(explanation: Explanation, size: tuple[int, int], name: str) -> dict[str, bytes]:
    # As bytes, since a worker of a cluster may not reach the store.
    with TemporaryDirectory() as folder:
        write_ilsvrc_heatmaps(explanation, size, folder, PurePosixPath(name).stem)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {
            f"{_ILSVRC_FOLDER}/{path.relative_to(folder).as_posix()}": path.read_bytes()
            for path in files
        }


def _encoded(kind: str, heat_map: NDArray[np.float64]) -> bytes:
    levels = np.floor(heat_map * 255 + 0.5).astype(np.uint8)
    return bytes(cv2.imencode(f".{kind}", levels)[1])


def _piece_result(work: BatchWork, rows: Sequence[_Row]) -> PieceResult:
    import pyarrow

    schema = _schema(work)
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
    number = rows[0].index // work.options.piece_size
    return PieceResult(number, sink.getvalue().to_pybytes(), files)


def _schema(work: BatchWork) -> Any:
    import pyarrow as pa

    options = work.options
    number = {"float16": pa.float16(), "float32": pa.float32()}[options.precision]
    fields = [
        pa.field("index", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("label", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("width", pa.int32()),
        pa.field("top_index", pa.list_(pa.int32())),
        pa.field("top_probability", pa.list_(pa.float32())),
    ]
    described = {"shape": json.dumps(list(work.map_shape))}
    optional = {
        "maps": pa.field("maps", pa.list_(number), metadata=described),
        "scores": pa.field("scores", pa.list_(number)),
        "boxes": pa.field("boxes", pa.list_(pa.list_(pa.list_(pa.int32())))),
        "heat-maps": pa.field("heat_maps", pa.list_(pa.binary())),
    }
    fields += [optional[output] for output in options.outputs]
    return pa.schema(fields)
