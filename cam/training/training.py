"""Training a network with Caffe's solvers, step by step: watched, interrupted and gone on with."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cam.arguments import checked
from cam.caffe.caffemodel import read_caffemodel
from cam.caffe.prototxt import write_prototxt
from cam.caffe.schema import message_class
from cam.engines.caffe import gpu_number, import_caffe
from cam.errors import CamError, InvalidValueError
from cam.files import PathLike
from cam.training.caffetools import failure_line
from cam.training.history import HistoryEntry, check_history_name, read_history, write_history
from cam.training.networks import check_initial_weights, freeze, head_layers
from cam.training.snapshots import finish_snapshot, linked_state, unfinished_folder
from cam.training.solver import TrainingJob

NEVER = 2**31 - 1
"""A test interval that no training reaches: tests are run from here, where their results are."""


@dataclass(frozen=True)
class TrainingProgress:
    """How far training is.

    Attributes
    ----------
    iteration, last : int
        How many iterations are done, and how many there are to be.
    loss : float or None
        As in `cam.training.history.HistoryEntry`.
    rate : float
        The learning rate.
    seconds_left : float or None
        Time that the rest will take; None before the first iteration.
    entry : HistoryEntry or None
        What has just been measured, at those iterations where it is.
    """

    iteration: int
    last: int
    loss: float | None
    rate: float
    seconds_left: float | None
    entry: HistoryEntry | None = None


@dataclass(frozen=True)
class TrainingResult:
    """What training gave.

    Attributes
    ----------
    iteration : int
        How many iterations were done.
    finished : bool
        Whether those were all; False if it was stopped before.
    caffemodel, solverstate : pathlib.Path
        The last snapshot.
    history : tuple of HistoryEntry
        What was measured on the way.
    """

    iteration: int
    finished: bool
    caffemodel: Path
    solverstate: Path
    history: tuple[HistoryEntry, ...]


@checked
def train(
    job: TrainingJob,
    *,
    weights: PathLike | None = None,
    snapshot: PathLike | None = None,
    head_only: bool = False,
    engine: str = "caffe",
    threads: int | None = None,
    max_iter: int | None = None,
    history: PathLike | None = None,
    report: Callable[[TrainingProgress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainingResult:
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
        Train the last conv and the class layer only; see `cam.training.networks.head_layers`.
    engine : str, optional
        ``"caffe:cpu"`` or ``"caffe:gpu:N"``; ``"caffe"`` for the device that the solver names.
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
    TrainingResult
        The last snapshot and the history.

    Raises
    ------
    CamError
        If pycaffe is not installed, files do not fit each other, Caffe refuses the solver, the
        device cannot be used, snapshots cannot be written, a label is no class of the network, or
        the loss is no finite number any more.
    """
    from threadpoolctl import threadpool_limits

    import_caffe()
    gpu = _gpu_number(job, engine)
    last = job.solver.max_iter if max_iter is None else max_iter
    if last < 1:
        raise InvalidValueError(f"{last} iterations; there must be one or more")
    history_file = Path(history or f"{job.prefix}_history.json")
    check_history_name(history_file)
    _check_start(job, weights, snapshot, head_only)
    with threadpool_limits(threads, user_api="blas"), unfinished_folder(job.prefix) as folder:
        solver_file = _write_solver(job, folder, weights, head_only, last)
        state = None if snapshot is None else str(linked_state(Path(snapshot), folder))
        _build_elsewhere(job, solver_file, state, gpu)
        solver = build_solver(solver_file, state, gpu)
        if snapshot is not None and solver.iter >= last:
            raise CamError(f"{snapshot}: {solver.iter} iterations are done, of {last}")
        goes_on = snapshot is not None and history_file.is_file()
        entries = read_history(history_file) if goes_on else []
        entries = [entry for entry in entries if entry.iteration <= solver.iter]
        run = _Run(solver, job, last, folder, entries, history_file, report, should_stop)
        return run.to_end()


def _check_start(
    job: TrainingJob, weights: PathLike | None, snapshot: PathLike | None, head_only: bool
) -> None:
    """Raise `CamError` if training cannot begin from what is given."""
    if weights is not None and snapshot is not None:
        raise InvalidValueError("weights to begin from, or a snapshot to go on from, but not both")
    if head_only and weights is None and snapshot is None:
        raise InvalidValueError(
            "training the head only needs a caffemodel with the weights of the rest"
        )
    if weights is not None:
        all_layers = frozenset(job.network.weight_shapes)
        frozen = all_layers - head_layers(job.network) if head_only else frozenset()
        check_initial_weights(job.network, read_caffemodel(weights), str(weights), frozen)


@dataclass
class _Run:
    """One run of a solver."""

    solver: Any
    job: TrainingJob
    last: int
    unfinished: Path
    entries: list[HistoryEntry]
    history_file: Path
    report: Callable[[TrainingProgress], None]
    should_stop: Callable[[], bool]

    def __post_init__(self) -> None:
        self._first = self.solver.iter
        self._began = time.monotonic()
        self._seconds_before = self.entries[-1].seconds if self.entries else 0.0
        self._losses: deque[float] = deque(maxlen=self.job.solver.average_loss)
        self._saved: tuple[Path, Path] | None = None
        self._saved_at = -1

    def to_end(self) -> TrainingResult:
        """Train until the last iteration or until it is to stop."""
        snapshots = self.job.solver.snapshot
        try:
            while self.solver.iter < self.last and not self.should_stop():
                self._measure()
                self._step()
                if snapshots and self.solver.iter % snapshots == 0:
                    self._save()
            finished = self.solver.iter >= self.last
            if finished:
                self._measure(final=True)
            if self._saved_at != self.solver.iter:
                self._save()
        finally:
            write_history(self.history_file, self.entries)
        assert self._saved is not None
        return TrainingResult(self.solver.iter, finished, *self._saved, tuple(self.entries))

    def _measure(self, final: bool = False) -> None:
        """Record the loss, and test, at the iterations at which the solver wants it."""
        settings, iteration = self.job.solver, self.solver.iter
        if self.entries and self.entries[-1].iteration == iteration:
            return
        test_due = final or (
            iteration % (settings.test_interval or NEVER) == 0
            and (iteration > 0 or settings.test_initialization)
        )
        test = self._test() if test_due and self.solver.test_nets else {}
        display_due = iteration > 0 and settings.display and iteration % settings.display == 0
        if not (display_due or test or final):
            return
        seconds = self._seconds_before + time.monotonic() - self._began
        entry = HistoryEntry(iteration, self._mean_loss(), self._rate(), seconds, test)
        self.entries.append(entry)
        if test:
            write_history(self.history_file, self.entries)
        self.report(self._progress(entry.rate, entry))

    def _step(self) -> None:
        rate = self._rate()
        self.solver.step(1)
        blobs = self.solver.net.blobs
        if self.job.label:
            label = int(blobs[self.job.label].data.max())
            if label >= self.job.classes:
                raise CamError(
                    f"a picture with the label {label} in the training data, but "
                    f"{self.job.net_source} has {self.job.classes} classes (from 0)"
                )
        loss = sum(weight * float(blobs[blob].data.sum()) for blob, weight in self.job.losses)
        if not math.isfinite(loss):
            kept = "no snapshot was made"
            if self._saved:
                kept = f"the last snapshot is {self._saved[0].with_suffix('')}"
            raise CamError(
                f"the loss is {loss} after {self.solver.iter} iterations: the learning rate, "
                f"{rate:g}, may be too high for this network ({kept})"
            )
        self._losses.append(loss)
        self.report(self._progress(rate))

    def _rate(self) -> float:
        # Caffe's is in single precision: 0.03 would be 0.029999999.
        return float(f"{self.solver.lr:.7g}")

    def _mean_loss(self) -> float | None:
        return sum(self._losses) / len(self._losses) if self._losses else None

    def _progress(self, rate: float, entry: HistoryEntry | None = None) -> TrainingProgress:
        done = self.solver.iter - self._first
        elapsed = time.monotonic() - self._began
        left = elapsed / done * (self.last - self.solver.iter) if done else None
        return TrainingProgress(self.solver.iter, self.last, self._mean_loss(), rate, left, entry)

    def _test(self) -> dict[str, float]:
        """Return the means of the test networks' outputs (``Solver::Test``)."""
        means: dict[str, float] = {}
        tests = list(zip(self.solver.test_nets, self.job.solver.test_iter, strict=True))
        for number, (net, batches) in enumerate(tests):
            net.share_with(self.solver.net)
            sums: dict[str, float] = {}
            for _ in range(batches):
                if self.should_stop():
                    return {}
                # pycaffe gives the outputs in another order each time.
                for name, value in sorted(net.forward().items()):
                    if value.size == 1:
                        sums[name] = sums.get(name, 0.0) + float(value.sum())
            for name, total in sums.items():
                means[f"{name} #{number}" if len(tests) > 1 else name] = total / batches
        return means

    def _save(self) -> None:
        """Make a snapshot under a temporary name, then rename it."""
        self.solver.snapshot()
        final = Path(f"{self.job.prefix}_iter_{self.solver.iter}")
        self._saved, self._saved_at = finish_snapshot(self.unfinished, final), self.solver.iter
        write_history(self.history_file, self.entries)


def _gpu_number(job: TrainingJob, engine: str) -> int | None:
    """Return the GPU that an engine's name asks for, or the solver's; None for the CPU."""
    name, _, device = engine.lower().partition(":")
    wants_gpu = job.solver.SolverMode.Name(job.solver.solver_mode) == "GPU"
    default = f"gpu:{job.solver.device_id}" if wants_gpu else "cpu"
    try:
        if name != "caffe":
            raise InvalidValueError(f"{name} does not train")
        return gpu_number(device or default)
    except InvalidValueError as error:
        raise InvalidValueError(
            f"no engine {engine!r} for training; there are caffe, caffe:cpu and caffe:gpu:N"
        ) from error
    except CamError as error:
        asked = engine if device else f"solver_mode of {job.source}"
        raise CamError(
            f"{asked} asks for a GPU, but Caffe was built without CUDA, or no GPU answers; "
            "--engine caffe:cpu trains without"
        ) from error


def _write_solver(
    job: TrainingJob, folder: Path, weights: PathLike | None, head_only: bool, last: int
) -> str:
    """Write the solver that Caffe gets: without its own tests and snapshots."""
    message = message_class("SolverParameter")()
    message.CopyFrom(job.solver)
    message.ClearField("snapshot")
    message.snapshot_prefix = str(folder / job.prefix.name)
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
        setattr(message, "net" if message.net else "train_net", str(net_file))
    solver_file = folder / "solver.prototxt"
    write_prototxt(solver_file, message)
    return str(solver_file)


def _build_elsewhere(
    job: TrainingJob, solver_file: str, state: str | None, gpu: int | None
) -> None:
    """Let another process build the solver, since Caffe ends the process where it refuses."""
    code = f"""
import os, sys
sys.path[:] = {sys.path!r}
from cam.training.training import build_solver
build_solver({solver_file!r}, {state!r}, {gpu!r})
# Caffe's threads for data would hold up a usual end.
os._exit(0)
"""
    finished = subprocess.run(
        [sys.executable, "-c", code],
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


def build_solver(solver_file: str, state: str | None, gpu: int | None) -> Any:
    """Build Caffe's solver and bring it to the state that is to be gone on from."""
    caffe = import_caffe()
    if gpu is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(gpu)
        caffe.set_mode_gpu()
    solver = caffe.get_solver(solver_file)
    if state is not None:
        solver.restore(state)
    return solver
