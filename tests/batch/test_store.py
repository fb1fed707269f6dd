from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cam.batch.store import (
    Piece,
    PieceResult,
    Store,
    check_store,
    open_store,
    read_record,
    summarize,
)
from cam.errors import CamError
from cam.files import TEMPORARY_PREFIX
from cam.pictures.lists import Entry

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SETTINGS = {"model": {"model": "m", "caffemodel_sha256": "0" * 64}, "options": {"top": 2}}
CLASSES = ["cat", "dog", "eel"]


def entries(count: int, folder: str = "/data") -> list[Entry]:
    return [Entry(f"{n}.jpg", f"{folder}/{n}.jpg", label=n % 3) for n in range(count)]


def opened(
    folder: Path, count: int = 10, size: int = 4, **changed: Any
) -> AbstractContextManager[Store]:
    listed = changed.pop("entries", None) or entries(count)
    return open_store(folder, {**SETTINGS, **changed}, listed, CLASSES, size)


def result_of(piece: Piece, failed: Sequence[str] = ()) -> PieceResult:
    """Return a piece in which every picture is a dog, and then a cat."""
    names = [entry.name for entry in piece.entries]
    rows = {
        "index": range(piece.first, piece.first + len(names)),
        "name": names,
        "status": ["failed" if name in failed else "ok" for name in names],
        "reason": ["broken" if name in failed else None for name in names],
        "label": [entry.label for entry in piece.entries],
        "top_index": [None if name in failed else [1, 0] for name in names],
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({key: pa.array(list(column)) for key, column in rows.items()}), sink)
    return PieceResult(piece.number, sink.getvalue().to_pybytes())


def finish(folder: Path, failed: Sequence[str] = (), **changed: Any) -> None:
    with opened(folder, **changed) as store:
        for piece in store.missing():
            store.commit(result_of(piece, failed))
        store.finish()


def content(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@settings(deadline=None)
@given(count=st.integers(1, 40), size=st.integers(1, 12), data=st.data())
def test_what_is_missing_is_what_was_not_committed(
    count: int, size: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("store")
    with opened(folder, count, size) as store:
        pieces = list(store.missing())
        listed = [entry for piece in pieces for entry in piece.entries]
        assert listed == entries(count)
        done = data.draw(st.sets(st.sampled_from(range(len(pieces)))))
        for number in done:
            store.commit(result_of(pieces[number]))
    with opened(folder, count, size) as store:
        assert list(store.missing()) == [piece for piece in pieces if piece.number not in done]
        assert store.done_pictures() == sum(len(pieces[number].entries) for number in done)


def test_a_store_says_what_it_was_made_with(tmp_path: Path) -> None:
    finish(tmp_path)
    record = read_record(tmp_path)
    assert record["model"] == SETTINGS["model"]
    assert record["pictures"]["count"] == 10
    assert (tmp_path / "classes.txt").read_text() == "cat\ndog\neel\n"


def test_a_second_run_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    with (
        opened(tmp_path),
        pytest.raises(CamError, match=rf"in use by process {os.getpid()} on "),
        opened(tmp_path),
    ):
        pass
    with opened(tmp_path):
        pass


def test_the_lock_of_a_killed_run_does_not_last(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from cam.pictures.lists import Entry\n"
        "from cam.batch.store import open_store\n"
        "with open_store(sys.argv[1], {}, [Entry('a', '/a')], [], 4):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / ".holder").exists()
    with open_store(tmp_path, {}, [Entry("a", "/a")], [], 4) as store:
        assert store.count == 1
    assert not (tmp_path / ".holder").exists()


def test_other_settings_are_refused_with_the_difference(tmp_path: Path) -> None:
    finish(tmp_path)
    before = content(tmp_path)
    with (
        pytest.raises(CamError, match=r"options\.top is 2 there and 3 here; name another folder"),
        opened(tmp_path, options={"top": 3}),
    ):
        pass
    with (
        pytest.raises(CamError, match="piece_size is 4 there and 5 here"),
        opened(tmp_path, size=5),
    ):
        pass
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            entries(9),
            r"pictures\.count is 10 there and 9 here; picture 10 is .* and not there here",
        ),
        (entries(3) + entries(7), r"picture 4 is 3\.jpg with label 0 there and 0\.jpg"),
        (
            [*entries(9), Entry("9.jpg", "/data/9.jpg")],
            r"9\.jpg with label 0 there and 9\.jpg here",
        ),
    ],
)
def test_another_list_is_refused_with_the_first_difference(
    tmp_path: Path, other: list[Entry], said: str
) -> None:
    finish(tmp_path)
    with pytest.raises(CamError, match=said), opened(tmp_path, entries=other):
        pass


def test_pictures_may_move(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.commit(result_of(next(store.missing())))
    with opened(tmp_path, entries=entries(10, "/elsewhere")) as store:
        (second, _) = store.missing()
        assert second.entries[0].path == "/elsewhere/4.jpg"


@pytest.mark.parametrize(
    "name",
    [
        *("thesis.tex", ".keep", ".git/config", ".bashrc", "notes/.draft", ".000001.abc.parquet"),
        *("classes.txt", "inputs.jsonl", "pieces/king.png", "run.json"),
    ],
)
def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
    with (
        pytest.raises(CamError, match=r"neither empty nor a store|is not a store"),
        opened(tmp_path),
    ):
        pass
    assert content(tmp_path) == {name: b"{}"}
    assert not (tmp_path / ".lock").exists()


def test_a_record_of_something_else_is_left_alone(tmp_path: Path) -> None:
    record = '{"format": {"name": "diary", "version": 1}}'
    (tmp_path / "run.json").write_text(record)
    with pytest.raises(CamError, match="something else's"), opened(tmp_path):
        pass
    assert content(tmp_path) == {"run.json": record.encode()}


def test_other_hidden_files_in_a_store_stay(tmp_path: Path) -> None:
    finish(tmp_path)
    hidden = [".keep", ".git/config", "pieces/.000000.parquet.crc"]
    (tmp_path / ".git").mkdir()
    for name in hidden:
        (tmp_path / name).write_text(name)
    finish(tmp_path)
    assert [(tmp_path / name).read_text() for name in hidden] == hidden


class StopError(Exception):
    pass


def broken_list() -> Iterator[Entry]:
    yield from entries(3)
    raise StopError


@pytest.mark.parametrize("listed", [broken_list, lambda: entries(3)])
@pytest.mark.parametrize("existing", ["", "batches"])
def test_a_batch_that_commits_nothing_leaves_nothing(
    tmp_path: Path, existing: str, listed: Callable[[], Iterable[Entry]]
) -> None:
    (tmp_path / existing).mkdir(exist_ok=True)
    with pytest.raises(StopError), opened(tmp_path / "batches/store", entries=listed()):
        raise StopError
    assert list(tmp_path.rglob("*")) == ([tmp_path / existing] if existing else [])


def test_a_folder_that_was_there_stays_and_is_empty_again(tmp_path: Path) -> None:
    with pytest.raises(StopError), opened(tmp_path):
        raise StopError
    assert list(tmp_path.iterdir()) == []


def test_what_was_committed_stays_when_a_batch_fails(tmp_path: Path) -> None:
    with pytest.raises(StopError), opened(tmp_path / "store") as store:
        store.commit(result_of(next(store.missing())))
        raise StopError
    with opened(tmp_path / "store") as store:
        assert store.done_pictures() == 4


def test_a_store_without_any_piece_takes_other_settings(tmp_path: Path) -> None:
    with opened(tmp_path / "store"):
        pass
    changed: dict[str, Any] = {"options": {"top": 3}, "size": 5, "count": 7}
    finish(tmp_path / "store", **changed)
    finish(tmp_path / "reference", **changed)
    assert content(tmp_path / "store") == content(tmp_path / "reference")


def test_a_store_without_its_list_is_said_and_made_again(tmp_path: Path) -> None:
    finish(tmp_path)
    whole = content(tmp_path)
    (tmp_path / "inputs.jsonl").unlink()
    with pytest.raises(CamError, match=r"cannot read .*inputs\.jsonl: No such file"):
        check_store(tmp_path)
    finish(tmp_path)
    assert content(tmp_path) == whole


def test_what_a_killed_run_left_half_written_goes_away(tmp_path: Path) -> None:
    finish(tmp_path / "reference")
    with opened(tmp_path / "store") as store:
        store.commit(result_of(next(store.missing())))
    (tmp_path / f"store/pieces/{TEMPORARY_PREFIX}000001.abc.parquet").write_bytes(b"PAR1")
    (tmp_path / f"store/{TEMPORARY_PREFIX}summary.abc.json").write_bytes(b"{")
    finish(tmp_path / "store")
    assert content(tmp_path / "store") == content(tmp_path / "reference")


def test_a_run_that_was_killed_before_it_began_is_no_hindrance(tmp_path: Path) -> None:
    for name in (".lock", ".holder", f"{TEMPORARY_PREFIX}inputs.abc.jsonl"):
        (tmp_path / name).touch()
    finish(tmp_path)
    assert not [path for path in content(tmp_path) if path.startswith(".")]


def test_a_damaged_piece_is_found_and_made_again(tmp_path: Path) -> None:
    finish(tmp_path)
    whole = content(tmp_path)
    piece = tmp_path / "pieces/000001.parquet"
    piece.write_bytes(piece.read_bytes()[:50])
    (problem,) = check_store(tmp_path)
    assert "000001.parquet: damaged" in problem
    with pytest.raises(CamError, match=r"000001\.parquet is damaged"):
        summarize(tmp_path)
    finish(tmp_path)
    assert content(tmp_path) == whole
    assert check_store(tmp_path) == []


def test_a_piece_with_other_pictures_is_found(tmp_path: Path) -> None:
    finish(tmp_path)
    (tmp_path / "pieces/000000.parquet").replace(tmp_path / "pieces/000001.parquet")
    (problem,) = check_store(tmp_path)
    assert problem.endswith("not the pictures 4 to 7")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    yield
    monkeypatch.undo()


def test_a_full_disk_is_said_and_leaves_a_valid_store(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with opened(tmp_path) as store:
        first, second, _ = store.missing()
        store.commit(result_of(first))
        before = content(tmp_path)
        request.getfixturevalue("full_disk")
        with pytest.raises(CamError, match=r"no space left on the disk of .* valid"):
            store.commit(result_of(second))
        assert content(tmp_path) == before
    assert check_store(tmp_path) == []


def test_the_summary_counts_and_the_failed_are_listed(tmp_path: Path) -> None:
    finish(tmp_path, failed=["2.jpg", "7.jpg"])
    summary = json.loads((tmp_path / "summary.json").read_text())
    # Labels go 0, 1, 2, 0, ...: of the eight left, two are dogs and four cats.
    assert summary == {
        "pictures": 10,
        "explained": 8,
        "failed": 2,
        "labelled": 8,
        "top_accuracy": {"1": 2 / 8, "2": 6 / 8},
    }
    assert (tmp_path / "failed.csv").read_text() == "name,reason\n2.jpg,broken\n7.jpg,broken\n"


def test_an_unfinished_store_can_be_summarized(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.commit(result_of(next(store.missing())))
        summary = summarize(tmp_path)
    assert (summary.explained, summary.missing) == (4, 6)


def test_what_is_no_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(CamError, match="is not a store of cam batch"):
        summarize(tmp_path)
