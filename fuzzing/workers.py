"""Processes in which damaged files are read: with limits, and many files each.

A worker is forked from a process that has imported everything. It makes the files itself, from
their numbers, so that any of them can be made again. If one ends it, the number that it stood at
says which, and another worker goes on behind it.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import re
import resource
import select
import shutil
import signal
import struct
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from fuzzing.mutations import damaged
from fuzzing.targets import TARGETS, Target

SECONDS, MEMORY_BYTES = 10, 2**30
"""Processor time and memory that one file may cost."""

PATIENCE = 120
"""Seconds by the clock after which a file is given up, on a machine with much else to do."""

_OWN = {*sysconfig.get_paths().values(), *sys.path[1:], sys.base_prefix}
_READABLE = (*_OWN, str(Path(__file__).resolve().parents[1]), "/proc", "/sys", "/usr", "/dev")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class OutsideError(Exception):
    """A reader opens or changes a file that is none of its own."""


@dataclass(frozen=True)
class Finding:
    """What one damaged file did that it must not.

    Attributes
    ----------
    target : str
        The reader.
    number : int
        The number that the file is made from.
    what : str
        What happened, and where; findings of one target that say the same are one.
    detail : str
        The traceback, where there is one.
    """

    target: str
    number: int
    what: str
    detail: str = ""


@dataclass
class Outcome:
    """What a number of damaged files did.

    Attributes
    ----------
    count, accepted : int
        How many were read, and how many of them without an error.
    seconds, slowest : float
        Processor time of all, and of the one that took longest.
    findings : list of Finding
        One for each file that did what it must not.
    """

    count: int = 0
    accepted: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Add those of other files."""
        self.count += other.count
        self.accepted += other.accepted
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        self.findings += other.findings


@dataclass(frozen=True)
class Job:
    """A reader, and the files that it is given.

    Attributes
    ----------
    name : str
        What the reader is called.
    target : Target
        The reader.
    around : mapping of str to bytes
        Sound files beside the damaged one, by their path in the folder.
    make : callable
        Returns the file of a number; the same number gives the same file.
    """

    name: str
    target: Target
    around: Mapping[str, bytes]
    make: Callable[[int], bytes]


def job_of(name: str, seeds: Sequence[bytes], around: Mapping[str, bytes]) -> Job:
    """Return the job of reading damaged files: those that are made from some seeds."""
    target = TARGETS[name]

    def make(number: int) -> bytes:
        source = random.Random(number)
        return damaged(source.choice(seeds), seeds, target.mutator, source)

    return Job(name, target, around, make)


def run(job: Job, numbers: range, seconds: float = 3600.0) -> Outcome:
    """Read the files of some numbers, in workers one after another.

    Parameters
    ----------
    job : Job
        The reader and its files.
    numbers : range
        Which files.
    seconds : float, optional
        Time after which no further file is begun.

    Returns
    -------
    Outcome
        What they did.
    """
    until, outcome = time.monotonic() + seconds, Outcome()
    at = numbers.start
    while at < numbers.stop and time.monotonic() < until:
        part, end = _worker(job, range(at, numbers.stop), until)
        outcome.add(part)
        at += part.count
        if end:
            outcome.findings.append(Finding(job.name, at - 1, end))
    return outcome


def _worker(job: Job, numbers: range, until: float) -> tuple[Outcome, str]:
    """Read files in one process; return what they did, and how the last one ended it, if so."""
    place = mmap.mmap(-1, 8)
    folder = Path(mkdtemp(prefix="fuzzing-"))
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        code = 1
        try:
            code = _main(job, numbers, until, folder, place, writing)
        finally:
            os._exit(code)
    os.close(writing)
    try:
        said = _listen(reading, child, place)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(reading)
        shutil.rmtree(folder, ignore_errors=True)
    outcome = Outcome(findings=[Finding(**one) for one in said if "what" in one])
    for one in said:
        if "count" in one:
            outcome.add(Outcome(**one))
    if os.WIFEXITED(status) and not os.WEXITSTATUS(status):
        return outcome, ""
    outcome.count = struct.unpack("q", place[:8])[0] + 1
    if os.WIFEXITED(status):
        return outcome, f"it ends the process, with exit code {os.WEXITSTATUS(status)}"
    return outcome, _of_signal(os.WTERMSIG(status))


def _of_signal(number: int) -> str:
    if number == signal.SIGXCPU:
        return f"it takes more than {SECONDS} s"
    if number == signal.SIGKILL:
        return f"it takes more than {PATIENCE} s by the clock, or was killed for its memory"
    return f"it ends the process, with {signal.Signals(number).name}"


def _listen(reading: int, child: int, place: mmap.mmap) -> list[dict[str, Any]]:
    """Return what a worker says until it ends; kill it where it stands still."""
    said, stood, since = b"", place[:8], time.monotonic()
    while True:
        if select.select([reading], [], [], 1)[0]:
            if not (part := os.read(reading, 1 << 16)):
                break
            said += part
        if place[:8] != stood:
            stood, since = place[:8], time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            os.kill(child, signal.SIGKILL)
    return [json.loads(line) for line in said.splitlines() if line.endswith(b"}")]


def _main(
    job: Job, numbers: range, until: float, folder: Path, place: mmap.mmap, writing: int
) -> int:
    """Read files and write what they do as lines of JSON; the worker's whole life."""
    _limit()
    outcome, begun = Outcome(), time.process_time()

    def say(content: Mapping[str, Any]) -> None:
        os.write(writing, json.dumps(content).encode() + b"\n")

    for index, number in enumerate(numbers):
        place[:8] = struct.pack("q", index)
        data = job.make(number)
        before = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (int(before) + SECONDS + 1, resource.RLIM_INFINITY))
        found = attempt(job, folder, data)
        outcome.slowest = max(outcome.slowest, time.process_time() - before)
        outcome.count += 1
        outcome.accepted += found is None
        if found is not None and found[0]:
            say({"target": job.name, "number": number, "what": found[0], "detail": found[1]})
        if time.monotonic() > until:
            break
    outcome.seconds = time.process_time() - begun
    say({key: value for key, value in vars(outcome).items() if key != "findings"})
    return 0


def attempt(job: Job, folder: Path, data: bytes) -> tuple[str, str] | None:
    """Read one file, among sound ones in a folder.

    Returns
    -------
    tuple of str or None
        What it did that it must not, and the traceback, both empty if it was refused as it should
        be; None if it was read.
    """
    from cam.errors import CamError

    path = folder / job.target.file
    for name, content in {**job.around, job.target.file: data}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    try:
        with _kept_inside(folder.resolve()):
            job.target.read(path)
    except CamError:
        return "", ""
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "/cam/" in frame.filename] or frames
        where = f"{Path(own[-1].filename).name}, {own[-1].name}"
        said = f": {error}" if type(error).__module__.startswith("fuzzing") else ""
        said = re.sub(r"/tmp/fuzzing-\w+", "FOLDER", said)[:120]
        return f"{type(error).__name__} in {where}{said}", traceback.format_exc()[-4000:]
    return None


def _limit() -> None:
    """Let this process take so much more memory than it has, and write no core files."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    has = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + MEMORY_BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # OpenCV and HDF5 write what they think of damaged files.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    sys.dont_write_bytecode = True
    sys.addaudithook(_watch)


_inside: list[str] = []


@contextmanager
def _kept_inside(folder: Path) -> Iterator[None]:
    """Raise `OutsideError` where files outside of a folder are opened, made or removed."""
    _inside.append(f"{folder}/")
    try:
        yield
    finally:
        _inside.clear()


_CHANGES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
}


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _inside:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, int) or path is None:
            return
        name = os.path.realpath(os.fsdecode(path))
        # Libraries read their own files when they are first used.
        allowed = (_inside[0], *(["/dev/null"] if flags & _WRITES else _READABLE))
        if not name.startswith(allowed):
            raise OutsideError(f"it opens {name}")
    elif event in _CHANGES:
        for path in arguments[:2]:
            if isinstance(path, (str, bytes)):
                name = os.path.realpath(os.fsdecode(path))
                if not f"{name}/".startswith(_inside[0]):
                    raise OutsideError(f"{event} of {name}")
