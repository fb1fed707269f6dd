"""Many pictures: reading, the network and the mapping overlap, and a store takes the results.

Each stage keeps a bounded number of pictures ahead of the next one, so that memory stays the same
however long the list. Which pictures share a batch depends on the list alone, never on timing, and
so results have the same bits in every run on the same machine.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from itertools import count, groupby, islice
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np

from cam import __version__
from cam.arguments import checked
from cam.batch.pieces import import_parquet
from cam.batch.rows import (
    CLASSES,
    BatchOptions,
    ExplainedPicture,
    Row,
    array_types,
    make_row,
    piece_result,
)
from cam.batch.store import Piece, PieceResult, Summary, open_store
from cam.engines import Engine, NetworkOutput
from cam.engines.protocol import FLOAT32
from cam.errors import CamError, InvalidValueError, whole_number
from cam.explain.model import CamModel
from cam.explain.styles import NetworkInput, Style, get_style
from cam.localization import MOST_WORKERS
from cam.pictures.lists import Entry, find_pictures, with_unique_stems

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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
        if workers is not None:
            workers = whole_number(workers, "the number of threads", 1, MOST_WORKERS)
        style = get_style(options.style, options.placement)
        top = model.top_count(options.top)
        if options.layout == "ilsvrc":
            check_published(model)
        pictures = options.batch_size or max(1, model.engine.batch_size // style.crops)
        return cls(
            model,
            replace(options, batch_size=pictures, top=top),
            (style.crops, top, *model.network.map_size),
            workers or min(os.cpu_count() or 1, 16),
        )

    def settings(self) -> dict[str, Any]:
        """Return what the results depend on, and why the engine was taken."""
        return {
            "engine_choice": self.model.engine_choice,
            "model": dict(self.model.record),
            "preprocessing": asdict(self.model.preprocessing),
            "options": self.options.record,
            "versions": versions(self.model.engine),
            "arrays": array_types(self.options, self.model.network, self.map_shape),
        }


def check_published(model: CamModel) -> None:
    """Make sure that what a model gives may be held against the paper's numbers.

    Raises
    ------
    InvalidValueError
        If it computes in less than single precision.
    """
    if model.engine.precision != FLOAT32:
        raise InvalidValueError(
            f"ILSVRC heat maps are held against the paper's numbers, in {FLOAT32} only, not in "
            f"{model.engine.precision}"
        )


class PieceRunner(Protocol):
    """Turns pieces of a list into what is stored, here or on other machines."""

    def __call__(
        self, work: BatchWork, pieces: Iterable[Piece], on_pictures: Callable[[int], object]
    ) -> Generator[PieceResult, None, None]:
        """Yield the results of the pieces in any order, and tell how many pictures are done."""


@checked
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
    say: Callable[[str], object] = warnings.warn,
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
    say : callable, optional
        Called with a line for each damaged piece of an earlier call, which is made again.

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
    entries = find_pictures(inputs, model.class_index, root)
    return run_entries(
        model, entries, folder, options, workers=workers, progress=progress, runner=runner, say=say
    )


@checked
def run_entries(
    model: CamModel,
    entries: Iterable[Entry],
    folder: str | os.PathLike[str],
    options: BatchOptions | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    runner: PieceRunner | None = None,
    say: Callable[[str], object] = warnings.warn,
) -> Summary:
    """Make the class activation maps of pictures that were found already; see `run_batch`.

    Parameters
    ----------
    model, folder, options, workers, progress, runner, say
        As for `run_batch`.
    entries : iterable of cam.pictures.lists.Entry
        The pictures, in their order; they are taken once.

    Returns
    -------
    cam.batch.store.Summary
        What the store holds.
    """
    import_parquet()
    work = BatchWork.plan(model, options or BatchOptions(), workers)
    told = progress or _Silent()
    if work.options.layout == "ilsvrc":
        entries = with_unique_stems(entries)
    with ExitStack() as stack:
        store = stack.enter_context(
            open_store(folder, work.settings(), entries, model.class_names, work.options.piece_size)
        )
        for line in store.damaged:
            say(line)
        told.begin(store.done_pictures(), store.count)
        writer = stack.enter_context(ThreadPoolExecutor(1, "cam-write"))
        results = (runner or run_pieces)(work, store.missing(), told.advance)
        stack.enter_context(closing(results))
        commits = ahead(lambda result: writer.submit(store.commit, result).result, results, 1)
        stack.enter_context(closing(commits))
        for _ in commits:
            pass
        return store.finish()


@checked
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
    with _threads(work) as pool:
        batches = explained_pictures(work, pieces, pool, partial(make_row, work.options))
        rows = _told(batches, on_pictures)
        groups = (list(group) for _, group in groupby(rows, lambda row: row.index // size))
        store = partial(piece_result, work.options, work.map_shape)
        stored = ahead(lambda group: pool.submit(store, group).result, groups, 1)
        with closing(stored):
            yield from stored


def _told(
    batches: Generator[list[Row], None, None], on_pictures: Callable[[int], object]
) -> Iterator[Row]:
    with closing(batches):
        for rows in batches:
            on_pictures(len(rows))
            yield from rows


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


ONE_THREAD_EACH = {limit_blas: _OneThreadEach(limit_blas) for limit_blas in (False, True)}
"""Contexts in which OpenCV, and with True BLAS as well, start no threads of their own."""


@dataclass(frozen=True)
class _Read:
    """A picture that was read, or why it could not be."""

    index: int
    entry: Entry
    reason: str = ""
    prepared: NetworkInput | None = None


def each_picture(
    model: CamModel,
    entries: Iterable[Entry],
    make: Callable[[ExplainedPicture], _Result],
    options: BatchOptions | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Generator[_Result, None, None]:
    """Explain pictures and make something of each; nothing is stored.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The model.
    entries : iterable of cam.pictures.lists.Entry
        The pictures; they are taken as they are needed.
    make : callable
        Called with each picture, in any order and from any thread.
    options : BatchOptions, optional
        Which classes are explained, and in which style.
    workers, progress
        As for `run_batch`; how many pictures there are is not known, and said to be 0.

    Yields
    ------
    object
        What `make` returned, in the order of the pictures.
    """
    work = BatchWork.plan(model, options or BatchOptions(), workers)
    told = progress or _Silent()
    told.begin(0, 0)
    with _threads(work) as pool:
        pieces = _pieces(entries, work.options.piece_size)
        with closing(explained_pictures(work, pieces, pool, make)) as batches:
            for made in batches:
                told.advance(len(made))
                yield from made


def _pieces(entries: Iterable[Entry], size: int) -> Iterator[Piece]:
    remaining = iter(entries)
    for number in count():
        chunk = tuple(islice(remaining, size))
        if not chunk:
            return
        yield Piece(number, number * size, chunk)


@contextmanager
def _threads(work: BatchWork) -> Iterator[Executor]:
    """Give the threads that read pictures and make maps; other libraries start none of theirs."""
    pool = ThreadPoolExecutor(work.workers, "cam-batch")
    try:
        with ONE_THREAD_EACH[not work.model.engine.needs_blas_threads]:
            yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def explained_pictures(
    work: BatchWork,
    pieces: Iterable[Piece],
    pool: Executor,
    make: Callable[[ExplainedPicture], _Result],
) -> Generator[list[_Result], None, None]:
    """Explain pictures and make something of each, side by side.

    Parameters
    ----------
    work : BatchWork
        What to do.
    pieces : iterable of cam.batch.store.Piece
        The pictures; they are taken as they are needed.
    pool : concurrent.futures.Executor
        What reads pictures and calls `make`.
    make : callable
        Called with each picture, in any order and from any thread of the pool.

    Yields
    ------
    list
        What `make` returned for the pictures of one batch after another, in their order.
    """
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

    def explain(batch: Sequence[_Read], forward: NetworkOutput | None) -> list[_Result]:
        return [make(picture) for picture in _explained(work, style, batch, forward)]

    yield from ahead(lambda item: pool.submit(explain, *item).result, forwarded, work.workers)


def _read(model: CamModel, style: Style, index: int, entry: Entry) -> _Read:
    try:
        return _Read(index, entry, prepared=model.network_input(entry.read(), style))
    except CamError as error:
        return _Read(index, entry, str(error).removeprefix(f"{entry.name}: "))
    except (cv2.error, MemoryError) as error:
        return _Read(index, entry, f"cannot be used: {' '.join(str(error).split())}")


def _start(
    model: CamModel, batch: Sequence[_Read]
) -> Callable[[], tuple[Sequence[_Read], NetworkOutput | None]]:
    inputs = [read.prepared.batch for read in batch if read.prepared is not None]
    if not inputs:
        return lambda: (batch, None)
    wait = model.engine.submit(inputs[0] if len(inputs) == 1 else np.concatenate(inputs))
    return lambda: (batch, wait())


def _explained(
    work: BatchWork, style: Style, batch: Sequence[_Read], forward: NetworkOutput | None
) -> Iterator[ExplainedPicture]:
    crop = 0
    for read in batch:
        if read.prepared is None or forward is None:
            yield ExplainedPicture(read.index, read.entry, reason=read.reason)
            continue
        of_picture = forward.inputs(crop, style.crops)
        crop += style.crops
        try:
            classes = _labelled_class(work, read.entry)
            explanation = work.model.explain_output(
                read.prepared, of_picture, style, work.map_shape[1], classes
            )
        except CamError as error:
            reason = f"cannot be explained: {error}"
            yield ExplainedPicture(read.index, read.entry, reason=reason)
        else:
            yield ExplainedPicture(read.index, read.entry, explanation)


def _labelled_class(work: BatchWork, entry: Entry) -> list[int] | None:
    """Return the class to explain, or None for the top ones."""
    if work.options.classes == CLASSES[0]:
        return None
    if not isinstance(entry.label, int):
        raise CamError("it has no label")
    return [entry.label]
