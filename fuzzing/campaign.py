"""Damaged files for all readers, some workers at a time, and a report of what they did."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from fuzzing import workers
from fuzzing.seeds import CORPUS
from fuzzing.targets import TARGETS
from fuzzing.workers import Finding, Job, Outcome

PART = 2000
"""Files that are read in one go, where their number is given."""

_LIBRARIES = ("cv2", "h5py", "openvino", "pyarrow.parquet", "scipy.io", "caffe.proto.caffe_pb2")
_ROOMS = ("batch.store", "engines.compiled", "explain", "fidelity.results", "learning.features")
_ROOMS += ("localization.ground_truth", "localization.heatmaps", "localization.predictions")
_ROOMS += ("pycaffe.hdf5", "training.history", "zoo")


class Material(NamedTuple):
    """The sound files of one target: those that are damaged, and those around them."""

    seeds: Sequence[bytes]
    around: Mapping[str, bytes]


@dataclass(frozen=True)
class Campaign:
    """How much is done.

    Attributes
    ----------
    names : sequence of str
        The targets.
    workers : int
        How many work at a time.
    seconds : float or None
        How long, for all together.
    mutations : int or None
        How many files, for all together; one of the two is given.
    seed : int
        Another one makes other files.
    """

    names: Sequence[str]
    workers: int
    seconds: float | None
    mutations: int | None
    seed: int


def materials(names: Sequence[str]) -> dict[str, Material]:
    """Return the sound files of targets, made in a process of its own, with the corpus's."""
    # Writers start threads, and a process with threads should not be forked.
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(_materials, [names])[0]


def _materials(names: Sequence[str]) -> dict[str, Material]:
    return {
        name: Material([*TARGETS[name].seeds(), *corpus(name)], TARGETS[name].around())
        for name in names
    }


def corpus(name: str) -> list[bytes]:
    """Return the files of the corpus for a target: what a reader once failed on."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def run(campaign: Campaign) -> Iterator[tuple[str, Outcome]]:
    """Yield what a campaign finds, part by part: the target's name and what its files did."""
    _quiet()
    material = materials(campaign.names)
    with multiprocessing.get_context("fork").Pool(campaign.workers, _begin, (material,)) as pool:
        yield from pool.imap_unordered(_do, list(_parts(campaign)))


def _quiet() -> None:
    """Let libraries use one thread each, and say nothing."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "GLOG_minloglevel": "3"}
    os.environ |= {"OPENCV_LOG_LEVEL": "SILENT"}


def _parts(campaign: Campaign) -> Iterator[tuple[str, range, float]]:
    """Yield which files of which target are to be read, and in what time."""
    whole = sum(TARGETS[name].weight for name in campaign.names)
    first = campaign.seed * 10**9
    shares = {name: TARGETS[name].weight / whole for name in campaign.names}
    if campaign.mutations is None:
        assert campaign.seconds is not None
        for name, share in shares.items():
            for k in range(campaign.workers):
                yield (
                    name,
                    range(first + k * 10**8, first + (k + 1) * 10**8),
                    campaign.seconds * share,
                )
        return
    for name, share in shares.items():
        count = round(campaign.mutations * share)
        for start in range(first, first + count, PART):
            yield name, range(start, min(start + PART, first + count)), 86400.0


_material: dict[str, Material] = {}


def _begin(material: Mapping[str, Material]) -> None:
    """Make a process ready to fork workers: it imports what they need."""
    _material.update(material)
    import_all()


def import_all() -> None:
    """Import all readers and their libraries, but those that are not installed."""
    for module in (*_LIBRARIES, *(f"cam.{room}" for room in _ROOMS)):
        try:
            import_module(module)
        except ImportError:
            continue
    import cv2

    cv2.setNumThreads(1)


def _do(part: tuple[str, range, float]) -> tuple[str, Outcome]:
    name, numbers, seconds = part
    return name, workers.run(workers.job_of(name, *_material[name]), numbers, seconds)


def different(findings: Sequence[Finding]) -> list[Finding]:
    """Return the first of the findings that say the same of one target."""
    first: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        first.setdefault((finding.target, finding.what), finding)
    return list(first.values())


def keep(finding: Finding, material: Material, folder: Path) -> Path:
    """Write the file that did what a finding says, and beside it what it did.

    Parameters
    ----------
    finding : Finding
        What a damaged file did.
    material : Material
        What it was made from.
    folder : pathlib.Path
        Where to write.

    Returns
    -------
    pathlib.Path
        The file, for ``python -m fuzzing replay`` and ``shrink``.
    """
    data = workers.job_of(finding.target, *material).make(finding.number)
    path = folder / finding.target / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(f"{finding.what}\n\n{finding.detail}", encoding="utf-8")
    return path


def smaller(job: Job, data: bytes, what: str, seconds: float) -> bytes:
    """Leave parts of a file out for as long as it does the same, for so many seconds at most."""
    until, part = time.monotonic() + seconds, max(len(data) // 2, 1)
    while part and time.monotonic() < until:
        starts = list(range(0, len(data), part))[:256]
        candidates = [data[:start] + data[start + part :] for start in starts]
        trial = Job(job.name, job.target, job.around, candidates.__getitem__)
        for number in range(len(candidates)):
            if any(
                one.what == what for one in workers.run(trial, range(number, number + 1)).findings
            ):
                data = candidates[number]
                break
            if time.monotonic() > until:
                return data
        else:
            part //= 2
    return data
