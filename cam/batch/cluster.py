"""A batch on a cluster: pieces go to the workers of a Dask scheduler, results come back here.

Only the process that began the batch writes the store, so that a piece that two workers have done,
because one of them seemed dead, is still written once. Workers read the pictures by their paths,
load the network once and keep it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cam.batch.pipeline import BatchWork, run_pieces
from cam.batch.rows import BatchOptions
from cam.errors import CamError, import_extra

if TYPE_CHECKING:
    from cam.batch.store import Piece, PieceResult
    from cam.explain.model import CamModel


_PIECES_PER_THREAD = 2
"""A worker has the next piece at hand when it finishes one."""


@dataclass(frozen=True)
class DaskRunner:
    """Does pieces on the workers of a Dask scheduler; for `cam.batch.run_batch`.

    Attributes
    ----------
    scheduler : str
        The scheduler's address, such as ``"tcp://10.0.0.1:8786"``.
    load : callable
        Loads the model on a worker. It must be one that pickle takes, a `functools.partial` of
        `cam.load` for example, and give the same model there as here.
    on_workers : callable, optional
        Called with the number of workers: 0 while there are none, and when there are some.

    Examples
    --------
    >>> from functools import partial
    >>> import cam
    >>> from cam.batch.pipeline import run_batch
    >>> load = partial(cam.load, "googlenet", engine="openvino")
    >>> run_batch(
    ...     load(), ["val.txt"], "store", runner=DaskRunner("tcp://10.0.0.1:8786", load)
    ... )  # doctest: +SKIP
    """

    scheduler: str
    load: Callable[[], CamModel]
    on_workers: Callable[[int], object] | None = None

    def __call__(
        self, work: BatchWork, pieces: Iterable[Piece], on_pictures: Callable[[int], object]
    ) -> Generator[PieceResult, None, None]:
        """Yield results of pieces as they come; see `cam.batch.PieceRunner`.

        Raises
        ------
        CamError
            If the scheduler does not answer, a worker has another network or other versions, or
            several workers have died of the same piece.
        """
        distributed = import_extra(
            "distributed",
            "a cluster needs Dask, which does not import here ({error}); "
            "pip install dask distributed",
        )
        try:
            client = distributed.Client(self.scheduler, set_as_default=False)
        except (OSError, ValueError) as error:
            raise CamError(f"no Dask scheduler answers at {self.scheduler}: {error}") from error
        with client:
            say = self.on_workers or (lambda _: None)
            if not client.nthreads():
                say(0)
            client.wait_for_workers(1)
            say(len(client.nthreads()))
            task = _Task(uuid4().hex, self.load, work.settings(), work.options)
            for piece, result in _results(distributed, client, task, iter(pieces)):
                on_pictures(len(piece.entries))
                yield result


@dataclass(frozen=True)
class _Task:
    """What a worker has to know to do any piece of a run."""

    run: str
    load: Callable[[], CamModel]
    settings: Mapping[str, Any]
    options: BatchOptions


def _results(
    distributed: Any, client: Any, task: _Task, pieces: Iterator[Piece]
) -> Iterator[tuple[Piece, PieceResult]]:
    running: dict[Any, Piece] = {}
    completed = distributed.as_completed(loop=client.loop)
    while True:
        # Workers come and go.
        wanted = _PIECES_PER_THREAD * max(1, sum(client.nthreads().values())) - len(running)
        for piece in islice(pieces, max(0, wanted)):
            key = f"cam-batch-{task.run}-{piece.number}"
            future = client.submit(_do_piece, task, piece, key=key, pure=False)
            running[future] = piece
            completed.add(future)
        if not running:
            return
        future = next(completed)
        piece = running.pop(future)
        try:
            result = future.result()
        except distributed.KilledWorker as error:
            last = piece.first + len(piece.entries) - 1
            raise CamError(
                f"several workers died one after another with pictures {piece.first} to {last} "
                f"({piece.entries[0].name} …); see their logs, they may have too little memory"
            ) from error
        yield piece, result


_loaded: dict[str, BatchWork] = {}
_loading = threading.Lock()


def _do_piece(task: _Task, piece: Piece) -> PieceResult:
    """Do a piece on a worker."""
    (result,) = run_pieces(_work_of(task), [piece], lambda _: None)
    return result


def _work_of(task: _Task) -> BatchWork:
    """Load a run's network, once in each process."""
    with _loading:
        if task.run not in _loaded:
            work = _load(task)
            _loaded.clear()
            _loaded[task.run] = work
        return _loaded[task.run]


def _load(task: _Task) -> BatchWork:
    from distributed import get_worker

    work = BatchWork.plan(task.load(), task.options)
    found, wanted = work.settings(), task.settings
    for part in ("model", "preprocessing", "versions"):
        for key in {**found[part], **wanted[part]}:
            here, there = found[part].get(key), wanted[part].get(key)
            if here != there:
                raise CamError(
                    f"worker {get_worker().address} has another {part} than this computer: "
                    f"{key} is {here!r}, not {there!r}"
                )
    return work
