"""The net under the readers: it catches what it is for, and what it has caught stays caught."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cam.errors import CamError
from fuzzing import campaign, workers
from fuzzing.targets import TARGETS, Target

pytest.importorskip("pyarrow")
pytest.importorskip("h5py")


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """Import all libraries before workers are forked: some open files of their own."""
    campaign.import_all()


def outcome_of(read: Callable[[Path], object], count: int = 3) -> workers.Outcome:
    """Give files to a reader, in workers; all are told by their number."""
    target = Target("x.file", lambda: [b""], read)
    job = workers.Job("planted", target, {}, lambda number: b"%d" % number)
    return workers.run(job, range(count))


def refuses(path: Path) -> None:
    raise CamError("refused")


def raises(path: Path) -> None:
    raise KeyError("undocumented")


def ends(path: Path) -> None:
    os.abort()


def exits(path: Path) -> None:
    os._exit(3)


def loops(path: Path) -> None:
    while path.read_bytes() == b"1":
        pass


def takes_memory(path: Path) -> None:
    np.ones(2**28)


def writes_beside(path: Path) -> None:
    path.parent.with_name("beside").write_bytes(b"")


def reads_elsewhere(path: Path) -> None:
    Path("/etc/passwd").read_bytes()


def removes(path: Path) -> None:
    path.parent.with_name("beside").unlink()


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (raises, "KeyError in test_readers.py, raises"),
        (ends, "it ends the process, with SIGABRT"),
        (exits, "it ends the process, with exit code 3"),
        (takes_memory, "MemoryError"),
        (writes_beside, "OutsideError"),
        (reads_elsewhere, "OutsideError"),
        (removes, "OutsideError"),
    ],
)
def test_what_a_reader_must_not_do_is_found_and_the_files_behind_it_are_read(
    read: Callable[[Path], object], what: str
) -> None:
    outcome = outcome_of(read)
    assert outcome.count == 3
    assert [finding.number for finding in outcome.findings] == [0, 1, 2]
    assert all(what in finding.what for finding in outcome.findings)
    assert len(campaign.different(outcome.findings)) == 1


def test_a_reader_that_never_ends_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SECONDS", 1)
    outcome = outcome_of(loops)
    assert [(one.number, one.what) for one in outcome.findings] == [(1, "it takes more than 1 s")]
    assert outcome.count == 3


def test_a_reader_that_waits_forever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 1)
    outcome = outcome_of(lambda path: time.sleep(60), 1)
    assert "by the clock" in outcome.findings[0].what


def test_what_is_refused_or_read_is_no_finding() -> None:
    assert outcome_of(refuses).findings == []
    assert outcome_of(refuses).accepted == 0
    assert outcome_of(Path.read_bytes).accepted == 3


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_takes_sound_files_and_lives_through_damaged_ones(name: str) -> None:
    material = campaign.materials([name])[name]
    sound = workers.Job(name, TARGETS[name], material.around, material.seeds.__getitem__)
    outcome = workers.run(sound, range(len(material.seeds)))
    assert outcome.findings == []
    assert outcome.accepted > 0
    damaged = workers.run(workers.job_of(name, *material), range(20))
    assert damaged.findings == []
    assert damaged.count == 20


def test_a_number_gives_the_same_file_each_time_and_others_differ() -> None:
    material = campaign.materials(["mat7"])["mat7"]
    make = workers.job_of("mat7", *material).make
    assert make(7) == make(7)
    assert len({make(number) for number in range(50)}) > 45
