"""What a store does about bytes that are not those that were written."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from locations import REPOSITORY

from cam.batch import BatchOptions, piece_trial
from cam.batch.entries import ENTRIES, read_entries
from cam.batch.piece_trial import is_survived
from cam.batch.pieces import DIGESTS, MAX_CONTENT_BYTES, Pieces, piece_name, read_digests
from cam.batch.record import LARGEST_PIECE_SIZE, MOST_PICTURES, RUN, read_record
from cam.batch.rows import Row, piece_result
from cam.batch.store import Piece, PieceResult, check_store, open_store, read_pieces, summarize
from cam.errors import CamError
from cam.pictures.lists import Entry

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

COUNT, SIZE = 10, 4
MAPS = (1, 2, 3, 3)
OPTIONS = BatchOptions(top=2, outputs=("maps", "boxes", "heat-maps"), piece_size=SIZE)
MUTATIONS = 2500

ENDS_ARROW = next((REPOSITORY / "fuzzing" / "corpus" / "store piece without digest").glob("size-*"))
"""A piece on which some releases of Arrow end the process."""


def entries() -> list[Entry]:
    return [Entry(f"{n}.jpg", f"/data/{n}.jpg", label=n % 3) for n in range(COUNT)]


def result_of(piece: Piece) -> PieceResult:
    """Return a piece as a batch makes it, with numbers of its own."""
    numbers = random.Random(piece.number)
    rows = []
    for place, entry in enumerate(piece.entries, piece.first):
        values = {
            **{"index": place, "name": entry.name, "label": entry.label, "status": "ok"},
            **{"height": 200, "width": 300, "top_index": [1, 2], "top_probability": [0.5, 0.25]},
            "maps": [numbers.random() for _ in range(18)],
            "boxes": [[[1, 2, 30, 40]], []],
            "heat_maps": [numbers.randbytes(30), numbers.randbytes(30)],
        }
        rows.append(Row(place, values))
    return piece_result(OPTIONS, MAPS, rows)


def finish(folder: Path) -> list[str]:
    """Begin a store or go on with one; return what is said of damage."""
    settings = {"options": OPTIONS.record, "model": {"model": "m"}}
    with open_store(folder, settings, entries(), ["a", "b", "c"], SIZE) as store:
        for piece in store.missing():
            store.commit(result_of(piece))
        store.finish()
        return store.damaged


def content(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a finished store."""
    assert finish(tmp_path / "store") == []
    return tmp_path / "store"


def without_digests(store: Path) -> Path:
    """Make a store one of the version that had no digests."""
    record = json.loads((store / RUN).read_text())
    record["format"]["version"] = 1
    (store / RUN).write_text(json.dumps(record, indent=2) + "\n")
    (store / DIGESTS).unlink()
    return store


def flipped(data: bytes, numbers: random.Random) -> bytes:
    place = numbers.randrange(8 * len(data))
    changed = bytearray(data)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def edited(data: bytes, numbers: random.Random) -> bytes:
    """Overwrite, insert, remove or move a few bytes, or cut the file there."""
    start = numbers.randrange(len(data))
    length = numbers.randint(1, 8)
    some, rest = numbers.randbytes(length), data[start + length :]
    return numbers.choice(
        [
            data[:start] + some + rest,
            data[:start] + bytes(length) + rest,
            data[:start] + some + data[start:],
            data[:start] + rest,
            data[:start] + rest + data[start : start + length],
            data[:start],
        ]
    )


@pytest.mark.parametrize("mutate", [flipped, edited])
def test_every_mutation_of_a_piece_is_called_damaged(
    store: Path, mutate: Callable[[bytes, random.Random], bytes]
) -> None:
    path, numbers = store / piece_name(1), random.Random(0)
    whole, pieces = path.read_bytes(), Pieces(store, COUNT, SIZE, read_digests(store))
    for _ in range(MUTATIONS // 2):
        changed = mutate(whole, numbers)
        path.write_bytes(changed)
        if changed == whole:
            pieces.check(1)
            continue
        with pytest.raises(CamError, match=r"000001\.parquet is damaged"):
            pieces.check(1)


def test_a_damaged_piece_is_made_again_with_one_line_and_all_is_as_before(store: Path) -> None:
    before = content(store)
    path = store / piece_name(1)
    path.write_bytes(flipped(path.read_bytes(), random.Random(1)))
    (problem,) = check_store(store)
    assert f"{path}: damaged: its SHA-256 is not the one in pieces.sha256" in problem
    with pytest.raises(CamError, match=r"000001\.parquet is damaged"):
        summarize(store)
    (line,) = finish(store)
    assert line.startswith(f"{path} is damaged")
    assert line.endswith("it is made again")
    assert content(store) == before
    assert check_store(store) == []


def test_a_piece_in_anothers_place_is_made_again(store: Path) -> None:
    before = content(store)
    (store / piece_name(1)).write_bytes((store / piece_name(0)).read_bytes())
    (problem,) = check_store(store)
    assert problem.endswith("not the pictures 4 to 7")
    assert len(finish(store)) == 1
    assert content(store) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: path.write_bytes(flipped(path.read_bytes(), random.Random(2))),
        lambda path: path.write_bytes(b"\xff\n" + path.read_bytes()),
        lambda path: path.write_bytes(path.read_bytes() + b"half a line"),
    ],
)
def test_damaged_digests_cost_no_more_than_their_pieces(
    store: Path, damage: Callable[[Path], object]
) -> None:
    before = content(store)
    damage(store / DIGESTS)
    damaged = check_store(store)
    assert len(finish(store)) == len(damaged)
    assert content(store) == before


def test_the_digests_are_those_that_sha256sum_checks(store: Path) -> None:
    lines = (store / DIGESTS).read_text().splitlines()
    digests = [hashlib.sha256((store / piece_name(n)).read_bytes()).hexdigest() for n in range(3)]
    assert lines == [f"{digest}  {piece_name(n)}" for n, digest in enumerate(digests)]
    command = ["sha256sum", "--check", "--strict", DIGESTS]
    assert subprocess.run(command, cwd=store, capture_output=True, check=False).returncode == 0


def test_a_piece_that_ends_arrow_is_damaged_and_the_next_ones_are_read(store: Path) -> None:
    without_digests(store)
    whole = [(store / piece_name(number)).read_bytes() for number in range(3)]
    (store / piece_name(0)).write_bytes(ENDS_ARROW.read_bytes())
    assert [piece_name(0) in problem for problem in check_store(store)] == [True]
    (store / piece_name(0)).write_bytes(whole[0])
    assert check_store(store) == []


def test_a_process_that_ends_while_a_piece_is_tried_is_replaced(store: Path) -> None:
    data, wanted = (store / piece_name(0)).read_bytes(), (None, SIZE, MAX_CONTENT_BYTES)
    assert is_survived(data, *wanted)
    process = piece_trial._started(os.getpid())
    process.kill()
    process.wait()
    assert not is_survived(data, *wanted)
    assert is_survived(data, *wanted)
    assert piece_trial._started(os.getpid()).pid != process.pid


def test_a_store_that_was_begun_without_digests_goes_on_without(tmp_path: Path) -> None:
    reference, store = tmp_path / "reference", tmp_path / "store"
    for folder in (reference, store):
        finish(folder)
        without_digests(folder)
    assert check_store(store) == []
    assert sum(table.num_rows for table in read_pieces(store, ["index"])) == COUNT
    (store / piece_name(0)).unlink()
    (store / piece_name(2)).write_bytes((store / piece_name(2)).read_bytes()[:-100])
    (problem,) = check_store(store)
    assert "000002.parquet: damaged" in problem
    assert len(finish(store)) == 1
    assert content(store) == content(reference)


def rewritten(store: Path, change: Callable[[Any], Any]) -> None:
    """Write another table in the place of the second piece, with or without its digest."""
    path = store / piece_name(1)
    pq.write_table(change(pq.read_table(path)), path)
    digests = read_digests(store)
    if digests:
        digests[1] = hashlib.sha256(path.read_bytes()).hexdigest()
        lines = (f"{digest}  {piece_name(number)}\n" for number, digest in digests.items())
        (store / DIGESTS).write_text("".join(lines))


def replaced(name: str, values: Any) -> Callable[[Any], Any]:
    return lambda table: table.set_column(table.schema.get_field_index(name), name, [values])


@pytest.mark.parametrize("format_version", [1, 2])
@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop(["status"]),
        lambda table: table.drop(["index"]),
        lambda table: table.rename_columns([f"my {name}" for name in table.column_names]),
        lambda table: table.slice(0, 3),
        lambda table: pa.table({"a": [1, 2, 3, 4]}),
        replaced("index", ["4", "5", "6", "7"]),
        replaced("index", [4, 5, 6, 6]),
        replaced("index", [None, 5, 6, 7]),
        replaced("name", [1, 2, 3, 4]),
        replaced("top_index", [["a"], ["b"], ["c"], ["d"]]),
        replaced("top_index", [1, 2, 3, 4]),
        replaced("top_index", [[], [1], [1], [1]]),
        replaced("top_index", [None, [1], [1], [1]]),
        replaced("label", [[1], [2], [3], [4]]),
        replaced("status", pa.array(["ok"] * 4).dictionary_encode()),
    ],
)
def test_odd_tables_are_said_in_one_line_and_made_again(
    store: Path, change: Callable[[Any], Any], format_version: int
) -> None:
    if format_version == 1:
        without_digests(store)
    before = content(store)
    rewritten(store, change)
    with pytest.raises(CamError, match=r"000001\.parquet is damaged") as caught:
        summarize(store)
        for table in read_pieces(store, ["index", "name"]):
            table.to_pylist()
        # Same columns, but others' pictures: only who knows the place can tell.
        Pieces(store, COUNT, SIZE, read_digests(store) or None).check(1)
    assert "\n" not in str(caught.value)
    if format_version == 1:
        assert len(finish(store)) == 1
        assert content(store) == before


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (("pictures", "count"), MOST_PICTURES + 1),
        (("pictures", "count"), 10**400),
        (("pictures", "count"), -1),
        (("pictures", "count"), "10"),
        (("pictures", "count"), 10.0),
        (("pictures", "count"), True),
        (("pictures", "count"), None),
        (("pictures", "sha256"), "0" * 10**5),
        (("pictures", "sha256"), 5),
        (("pictures", "sha256"), ["0" * 64]),
        (("piece_size",), 0),
        (("piece_size",), -4),
        (("piece_size",), LARGEST_PIECE_SIZE + 1),
        (("piece_size",), [4]),
        (("pictures",), []),
        (("pictures",), None),
    ],
)
def test_a_record_of_what_no_store_can_have_is_refused_in_one_line(
    store: Path, names: tuple[str, ...], value: object
) -> None:
    record = inner = json.loads((store / RUN).read_text())
    for name in names[:-1]:
        inner = inner[name]
    inner[names[-1]] = value
    (store / RUN).write_text(json.dumps(record))
    for read in (summarize, check_store, finish):
        with pytest.raises(CamError, match=r"run\.json is damaged: no ") as caught:
            read(store)
        assert len(str(caught.value)) < 300 + len(str(store))


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "5", '"cam batch"', "null", "\x00", '{"format": []}', "[" * 10**5),
        *('{"a":' * 70 + "1" + "}" * 70, '{"a":' * 900 + "1" + "}" * 900, "1" * 5000),
        " " * (2**20 + 1),
    ],
)
def test_what_is_no_record_is_refused_in_one_line(store: Path, text: str) -> None:
    (store / RUN).write_text(text)
    for read in (summarize, check_store, finish):
        with pytest.raises(CamError, match="is not a store of cam batch"):
            read(store)


def test_a_count_beyond_the_list_ends_with_the_list(store: Path) -> None:
    record = read_record(store)
    record["pictures"]["count"] = MOST_PICTURES
    record["piece_size"] = 1
    (store / RUN).write_text(json.dumps(record))
    with pytest.raises(CamError, match=r"inputs\.jsonl is damaged \(less than 1000000000"):
        check_store(store)


@pytest.mark.parametrize(
    "line",
    [
        *(
            "",
            "{",
            "null",
            "5",
            "[]",
            '"a"',
            "[" * 10**5,
            '{"name": "a"}',
            '{"name": 5, "path": 6}',
        ),
        '{"name": "a", "path": "b", "label": []}',
        '{"name": "a", "path": "b", "label": ' + "1" * 5000 + "}",
        '{"name": "a", "path": "b", "colour": 5}',
        '{"name": "a", "path": "b", "box": 5}',
        '{"name": "a", "path": "b", "box": [1, 2, 3]}',
        '{"name": "a", "path": "b", "box": ["1", 2, 3, 4]}',
        '{"name": "a", "path": "b", "offset": "c"}',
        "\udcff",
        " " * (2**20 + 1),
    ],
)
def test_a_damaged_list_is_said_in_one_line_and_made_again(store: Path, line: str) -> None:
    before = content(store)
    lines = (store / ENTRIES).read_text().splitlines()
    lines[3] = line
    (store / ENTRIES).write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    with pytest.raises(CamError, match=r"inputs\.jsonl is damaged \(line 4 is no picture") as error:
        list(read_entries(store))
    assert "\n" not in str(error.value)
    finish(store)
    assert content(store) == before


def test_another_name_in_the_list_is_found(store: Path) -> None:
    text = (store / ENTRIES).read_text().replace('"label": 2', '"label": 1')
    (store / ENTRIES).write_text(text)
    (problem,) = check_store(store)
    assert problem.endswith("inputs.jsonl: not the list that the batch was begun with")


def test_a_piece_that_could_not_be_read_again_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cam.batch.pieces.MAX_CONTENT_BYTES", 100)
    with pytest.raises(CamError, match="take a smaller piece size"):
        finish(tmp_path / "store")


def test_a_piece_that_says_it_holds_too_much_is_not_unpacked(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten(store, replaced("name", ["a" * 10**6, "b", "c", "d"]))
    monkeypatch.setattr("cam.batch.pieces.MAX_CONTENT_BYTES", 10**5)
    with pytest.raises(CamError, match=r"\(4 pictures, 100\d+ bytes\)"):
        Pieces(store, COUNT, SIZE, read_digests(store)).read(1, ["name"])
