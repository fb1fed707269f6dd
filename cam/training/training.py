"""Training a network with Caffe's solvers, step by step: watched, interrupted and gone on with."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cam.caffe.caffemodel import read_caffemodel
from cam.caffe.prototxt import write_prototxt
from cam.caffe.schema import message_class
from cam.engines.caffe import gpu_works, import_caffe
from cam.errors import CamError
from cam.files import atomic_path
from cam.training.caffetools import failure_line
from cam.training.solver import TrainingJob, check_initial_weights, freeze, head_layers

__all__ = [
    "Progress",
    "Record",
    "Trained",
    "read_history",
    "train",
    "write_history",
]

NEVER = 2**31 - 1
"""A test interval that no training reaches: tests are run from here, where their results are."""

BUILD = """
import os, sys
import caffe
gpu, solver_file, solverstate = sys.argv[1:]
if gpu:
    caffe.set_device(int(gpu))
    caffe.set_mode_gpu()
else:
    caffe.set_mode_cpu()
solver = caffe.get_solver(solver_file)
if solverstate:
    solver.restore(solverstate)
# Caffe's threads for data would hold up a usual end.
os._exit(0)
"""
"""Builds a solver, in a process of its own that Caffe may end."""


@dataclass(frozen=True)
class Record:
    """What was measured at one iteration.

    Attributes
    ----------
    iteration : int
        How many iterations were done.
    loss : float or None
        Mean training loss of the last ``average_loss`` iterations; None before the first one.
    rate : float
        The learning rate.
    seconds : float
        Time since training began, over all its parts.
    test : dict of str to float
        The means of the test networks' outputs, if they were run.
    """

    iteration: int
    loss: float | None
    rate: float
    seconds: float
    test: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """How far training is.

    Attributes
    ----------
    iteration, last : int
        How many iterations are done, and how many there are to be.
    loss : float or None
        As in `Record`.
    rate : float
        The learning rate.
    seconds_left : float or None
        Time that the rest will take; None before the first iteration.
    record : Record or None
        What has just been measured, at those iterations where it is.
    """

    iteration: int
    last: int
    loss: float | None
    rate: float
    seconds_left: float | None
    record: Record | None = None


@dataclass(frozen=True)
class Trained:
    """What training gave.

    Attributes
    ----------
    iteration : int
        How many iterations were done.
    finished : bool
        Whether those were all; False if it was stopped before.
    caffemodel, solverstate : pathlib.Path
        The last snapshot.
    history : tuple of Record
        What was measured on the way.
    """

    iteration: int
    finished: bool
    caffemodel: Path
    solverstate: Path
    history: tuple[Record, ...]


def train(
    job: TrainingJob,
    *,
    weights: str | os.PathLike[str] | None = None,
    snapshot: str | os.PathLike[str] | None = None,
    head_only: bool = False,
    device: str | None = None,
    threads: int | None = None,
    max_iter: int | None = None,
    history: str | os.PathLike[str] | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train a network with Caffe.

    Snapshots are the solver's, ``PREFIX_iter_N.caffemodel`` and ``.solverstate``; they appear
    complete or not at all. Tests and snapshots are made at the iterations at which Caffe itself
    makes them, and one of each at the end.

    Parameters
    ----------
    job : TrainingJob
        What to train; see `cam.training.solver.read_job`.
    weights : path-like, optional
        A caffemodel to begin from. Layers that it does not have begin from their fillers.
    snapshot : path-like, optional
        A solverstate to go on from.
    head_only : bool, optional
        Train the last conv and the class layer only; see `cam.training.solver.head_layers`.
    device : str, optional
        ``"cpu"`` or ``"gpu:N"``; what the solver says if not given.
    threads : int, optional
        How many threads the BLAS library may use.
    max_iter : int, optional
        How many iterations, in place of the solver's number.
    history : path-like, optional
        Where the history goes, a ``.json`` or ``.csv`` file; ``PREFIX_history.json`` if not given.
        It is written at each test and snapshot. With `snapshot`, one that is there is gone on with.
    report : callable, optional
        Called after each iteration.
    should_stop : callable, optional
        Asked before each iteration; if it says so, a snapshot is made and training ends.

    Returns
    -------
    Trained
        The last snapshot and the history.

    Raises
    ------
    CamError
        If pycaffe is not installed, files do not fit each other, Caffe refuses the solver, the
        device cannot be used, snapshots cannot be written, a label is no class of the network, or
        the loss is no finite number any more.
    """
    from threadpoolctl import threadpool_limits

    caffe = import_caffe()
    gpu = _gpu_number(job, device)
    last = job.solver.max_iter if max_iter is None else max_iter
    if last < 1:
        raise CamError(f"{last} iterations; there must be one or more")
    history_file = Path(history) if history else Path(f"{job.prefix}_history.json")
    _check_history_name(history_file)
    if weights is not None and snapshot is not None:
        raise CamError("weights to begin from, or a snapshot to go on from, but not both")
    if head_only and weights is None and snapshot is None:
        raise CamError("training the head only needs a caffemodel with the weights of the rest")
    if weights is not None:
        head = head_layers(job.network)
        frozen = set(job.network.weight_shapes) - head if head_only else set()
        check_initial_weights(job.network, read_caffemodel(weights), str(weights), frozen)
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(threads, user_api="blas"))
        partial = stack.enter_context(_partial_folder(job.prefix))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        solver_file = _write_solver(job, folder, partial, weights, head_only, last)
        state_file = None if snapshot is None else _readable_state(Path(snapshot), folder)
        _try_out(job, solver_file, state_file, gpu)
        _use_device(caffe, gpu)
        solver = caffe.get_solver(str(solver_file))
        records: list[Record] = []
        if state_file is not None:
            solver.restore(str(state_file))
            if solver.iter >= last:
                raise CamError(f"{snapshot}: {solver.iter} iterations are done, of {last}")
            if history_file.is_file():
                records = [r for r in read_history(history_file) if r.iteration <= solver.iter]
        run = _Run(solver, job, last, partial, records, history_file, report, should_stop)
        return run.to_end()


class _Run:
    """One run of a solver."""

    def __init__(
        self,
        solver: Any,
        job: TrainingJob,
        last: int,
        partial: Path,
        records: list[Record],
        history_file: Path,
        report: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._solver = solver
        self._job = job
        self._last = last
        self._partial = partial
        self._records = records
        self._history_file = history_file
        self._report = report
        self._should_stop = should_stop
        self._first = solver.iter
        self._began = time.monotonic()
        self._seconds_before = records[-1].seconds if records else 0.0
        self._losses: deque[float] = deque(maxlen=job.solver.average_loss)
        self._saved: Path | None = None

    def to_end(self) -> Trained:
        """Train until the last iteration or until it is to stop."""
        snapshots = self._job.solver.snapshot
        try:
            while self._solver.iter < self._last and not self._should_stop():
                self._measure()
                self._step()
                if snapshots and self._solver.iter % snapshots == 0:
                    self._save()
            finished = self._solver.iter >= self._last
            if finished:
                self._measure(final=True)
            if self._saved is None or self._saved != self._final_name():
                self._save()
        finally:
            write_history(self._history_file, self._records)
        assert self._saved is not None
        return Trained(
            self._solver.iter,
            finished,
            self._saved.with_name(f"{self._saved.name}.caffemodel"),
            self._saved.with_name(f"{self._saved.name}.solverstate"),
            tuple(self._records),
        )

    def _measure(self, final: bool = False) -> None:
        """Record the loss, and test, at the iterations at which the solver wants it."""
        settings, iteration = self._job.solver, self._solver.iter
        if self._records and self._records[-1].iteration == iteration:
            return
        test_due = final or (
            iteration % (settings.test_interval or NEVER) == 0
            and (iteration > 0 or settings.test_initialization)
        )
        test = self._test() if test_due and self._solver.test_nets else {}
        display_due = iteration > 0 and settings.display and iteration % settings.display == 0
        if not (display_due or test or final):
            return
        seconds = self._seconds_before + time.monotonic() - self._began
        record = Record(iteration, self._mean_loss(), self._rate(), seconds, test)
        self._records.append(record)
        if test:
            write_history(self._history_file, self._records)
        self._report(self._progress(record.rate, record))

    def _step(self) -> None:
        rate = self._rate()
        self._solver.step(1)
        blobs = self._solver.net.blobs
        if self._job.label:
            label = int(blobs[self._job.label].data.max())
            if label >= self._job.classes:
                raise CamError(
                    f"a picture with the label {label} in the training data, but "
                    f"{self._job.net_source} has {self._job.classes} classes (from 0)"
                )
        loss = sum(weight * float(blobs[blob].data.sum()) for blob, weight in self._job.losses)
        if not math.isfinite(loss):
            kept = f"the last snapshot is {self._saved}" if self._saved else "no snapshot was made"
            raise CamError(
                f"the loss is {loss} after {self._solver.iter} iterations: the learning rate, "
                f"{rate:g}, may be too high for this network ({kept})"
            )
        self._losses.append(loss)
        self._report(self._progress(rate))

    def _rate(self) -> float:
        # Caffe's is in single precision: 0.03 would be 0.029999999.
        return float(f"{self._solver.lr:.7g}")

    def _mean_loss(self) -> float | None:
        return sum(self._losses) / len(self._losses) if self._losses else None

    def _progress(self, rate: float, record: Record | None = None) -> Progress:
        done = self._solver.iter - self._first
        elapsed = time.monotonic() - self._began
        left = elapsed / done * (self._last - self._solver.iter) if done else None
        return Progress(self._solver.iter, self._last, self._mean_loss(), rate, left, record)

    def _test(self) -> dict[str, float]:
        """Return the means of the test networks' outputs (``Solver::Test``)."""
        means: dict[str, float] = {}
        several = len(self._solver.test_nets) > 1
        for number, (net, batches) in enumerate(
            zip(self._solver.test_nets, self._job.solver.test_iter, strict=True)
        ):
            net.share_with(self._solver.net)
            sums: dict[str, float] = {}
            for _ in range(batches):
                if self._should_stop():
                    return {}
                # pycaffe gives the outputs in another order each time.
                for name, value in sorted(net.forward().items()):
                    if value.size == 1:
                        sums[name] = sums.get(name, 0.0) + float(value.sum())
            for name, total in sums.items():
                means[f"{name} #{number}" if several else name] = total / batches
        return means

    def _final_name(self) -> Path:
        prefix = self._job.prefix
        return prefix.with_name(f"{prefix.name}_iter_{self._solver.iter}")

    def _save(self) -> None:
        """Make a snapshot under a temporary name, then rename it."""
        final = self._final_name()
        self._solver.snapshot()
        model, state = (
            self._partial / f"{final.name}{suffix}" for suffix in (".caffemodel", ".solverstate")
        )
        described = _solver_state(state)
        described.learned_net = f"{final}.caffemodel"
        state.write_bytes(described.SerializeToString())
        # The state names the caffemodel, and so comes second.
        model.replace(f"{final}.caffemodel")
        state.replace(f"{final}.solverstate")
        self._saved = final
        write_history(self._history_file, self._records)


def _gpu_number(job: TrainingJob, device: str | None) -> int | None:
    wants_gpu = job.solver.SolverMode.Name(job.solver.solver_mode) == "GPU"
    default = f"gpu:{job.solver.device_id}" if wants_gpu else "cpu"
    name, _, number = (device or default).lower().partition(":")
    if name == "cpu" and not number:
        return None
    if name != "gpu" or not (number or "0").isdecimal():
        raise CamError(f"no device {device!r}; there are cpu and gpu:N")
    if not gpu_works(int(number or 0)):
        asked = "--device" if device else f"solver_mode of {job.source}"
        raise CamError(
            f"{asked} asks for a GPU, but Caffe was built without CUDA, or no GPU answers; "
            "--device cpu trains without"
        )
    return int(number or 0)


def _use_device(caffe: Any, gpu: int | None) -> None:
    if gpu is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(gpu)
        caffe.set_mode_gpu()


@contextmanager
def _partial_folder(prefix: Path) -> Iterator[Path]:
    """Give a folder beside the snapshots for those that are not complete yet."""
    folder = prefix.parent / f".{prefix.name}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / "probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CamError(f"cannot write snapshots to {prefix.parent}: {error.strerror}") from error
    try:
        yield folder
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def _write_solver(
    job: TrainingJob,
    folder: Path,
    partial: Path,
    weights: str | os.PathLike[str] | None,
    head_only: bool,
    last: int,
) -> Path:
    """Write the solver that Caffe gets: without its own tests and snapshots."""
    message = message_class("SolverParameter")()
    message.CopyFrom(job.solver)
    message.ClearField("snapshot")
    message.snapshot_prefix = str(partial / job.prefix.name)
    message.test_initialization = False
    message.display = 0
    message.max_iter = last
    if message.test_iter:
        message.test_interval = NEVER
    if weights is not None:
        message.weights[:] = [str(weights)]
    if head_only:
        net_file = folder / "net.prototxt"
        write_prototxt(net_file, freeze(job.net, job.network, head_layers(job.network)))
        if message.net:
            message.net = str(net_file)
        else:
            message.train_net = str(net_file)
    solver_file = folder / "solver.prototxt"
    write_prototxt(solver_file, message)
    return solver_file


def _readable_state(snapshot: Path, folder: Path) -> Path:
    """Return a solverstate whose caffemodel is where it says: the snapshot, or a copy mended."""
    state = _solver_state(snapshot)
    if not (state.HasField("iter") and state.learned_net):
        raise CamError(f"{snapshot}: not a solverstate (it names no iteration and caffemodel)")
    beside = snapshot.with_name(Path(state.learned_net).name)
    for model in (beside, Path(state.learned_net)):
        if model.is_file():
            read_caffemodel(model)
            mended = folder / "mended.solverstate"
            state.learned_net = str(model)
            mended.write_bytes(state.SerializeToString())
            return mended
    raise CamError(f"{snapshot}: its caffemodel {state.learned_net} is not there, nor {beside}")


def _solver_state(path: Path) -> Any:
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    state = caffe_pb2.SolverState()
    try:
        state.ParseFromString(path.read_bytes())
    except OSError as error:
        raise CamError(f"cannot read {path}: {error.strerror}") from error
    except DecodeError as error:
        raise CamError(f"{path}: truncated, or not a solverstate") from error
    return state


def _try_out(job: TrainingJob, solver_file: Path, state: Path | None, gpu: int | None) -> None:
    """Let another process build the solver, since Caffe ends the process where it refuses."""
    arguments = ["" if gpu is None else str(gpu), str(solver_file), str(state or "")]
    finished = subprocess.run(
        [sys.executable, "-c", BUILD, *arguments],
        env={**os.environ, "GLOG_minloglevel": "2"},
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
        # An interrupt is for the training, not for this.
        start_new_session=True,
    )
    if finished.returncode:
        raise CamError(f"Caffe refuses {job.source}: {failure_line(finished.stderr)}")


COLUMNS = ("iteration", "loss", "rate", "seconds")
TEST_COLUMN = "test "


def write_history(path: str | os.PathLike[str], records: Sequence[Record]) -> None:
    """Write what was measured, as JSON or as CSV.

    Parameters
    ----------
    path : path-like
        A ``.json`` file, a list of objects with the fields of `Record`; or a ``.csv`` file, with
        a column ``test NAME`` for each of the tests' outputs.
    records : sequence of Record
        What to write.
    """
    target = Path(path)
    _check_history_name(target)
    with (
        atomic_path(target) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        if target.suffix == ".json":
            # One record a line.
            rows = ",\n".join(json.dumps({**vars(r), "test": dict(r.test)}) for r in records)
            file.write(f"[\n{rows}\n]\n")
            return
        tests = list(dict.fromkeys(name for record in records for name in record.test))
        table = csv.writer(file)
        table.writerow([*COLUMNS, *(f"{TEST_COLUMN}{name}" for name in tests)])
        for record in records:
            row = [getattr(record, column) for column in COLUMNS]
            table.writerow([*row, *(record.test.get(name) for name in tests)])


def read_history(path: str | os.PathLike[str]) -> list[Record]:
    """Read what `write_history` wrote.

    Parameters
    ----------
    path : path-like
        A ``.json`` or ``.csv`` file.

    Returns
    -------
    list of Record
        The records.

    Raises
    ------
    CamError
        If the file cannot be read or is no history.
    """
    source = Path(path)
    _check_history_name(source)
    try:
        with source.open(encoding="utf-8", newline="") as file:
            if source.suffix == ".json":
                return [Record(**row) for row in json.load(file)]
            return [_record_of_row(row) for row in csv.DictReader(file)]
    except OSError as error:
        raise CamError(f"cannot read {source}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CamError(f"{source}: not a history of a training") from error


def _record_of_row(row: Mapping[str, str]) -> Record:
    test = {
        column.removeprefix(TEST_COLUMN): float(value)
        for column, value in row.items()
        if column.startswith(TEST_COLUMN) and value
    }
    loss = float(row["loss"]) if row["loss"] else None
    return Record(int(row["iteration"]), loss, float(row["rate"]), float(row["seconds"]), test)


def _check_history_name(path: Path) -> None:
    if path.suffix not in (".json", ".csv"):
        raise CamError(f"{path}: the history is a .json or a .csv file")
