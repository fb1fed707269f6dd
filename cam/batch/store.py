"""The store of a batch: a folder whose content is valid at every moment.

The list of pictures is cut into pieces of a fixed size, and each piece becomes one Parquet file,
written under a temporary name and renamed. What a piece holds depends on the list and the run's
settings alone, so that a run that was killed and resumed gives the same files as one that was not.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from cam.batch.entries import (
    ENTRIES,
    damaged_list,
    entries_of,
    read_entries,
    what_counts,
    write_entries,
)
from cam.batch.pieces import (
    DIGESTS,
    PIECES,
    SUMMARY_COLUMNS,
    DamagedPieceError,
    Pieces,
    add_digest,
    check_size,
    piece_name,
    piece_numbers,
    read_digests,
    write_digests,
)
from cam.batch.record import (
    FORMAT_NAME,
    FORMAT_VERSION,
    RUN,
    WITHOUT_DIGESTS,
    read_record,
    recorded,
)
from cam.errors import CamError
from cam.files import TEMPORARY_PREFIX, PathLike, atomic_path, made_folder, read_json, read_text
from cam.pictures.lists import Entry

_CLASSES, _SUMMARY, _FAILED = "classes.txt", "summary.json", "failed.csv"
_LOCK, _HOLDER = ".lock", ".holder"
_BEGINNING = frozenset((RUN, ENTRIES, _CLASSES, PIECES, DIGESTS))
"""What a store has before its first piece."""
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_TOLD = {"engine_choice"}
"""What the record tells and two runs need not have in common."""
_UNSAID = {"model.precision": "float32", "model.winograd": "off"}
"""What is meant by a record that does not say it."""


@dataclass(frozen=True)
class Piece:
    """Some pictures that follow each other in the list, committed together.

    Attributes
    ----------
    number : int
        Which piece, from 0.
    first : int
        The place of its first picture in the list, from 0.
    entries : tuple of cam.pictures.lists.Entry
        The pictures.
    """

    number: int
    first: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class PieceResult:
    """What a piece gives.

    Attributes
    ----------
    number : int
        Which piece, from 0.
    table : bytes
        Its Parquet file.
    files : mapping of str to bytes
        Other files by their path in the store, written before the piece counts as done.
    """

    number: int
    table: bytes
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """What a store holds.

    Attributes
    ----------
    pictures : int
        How many pictures the list has.
    explained, failed : int
        How many of them are done, and how many could not be read.
    labelled : int
        How many of those done have a label.
    top_accuracy : dict of str to float
        The share of these whose label is the best class, and is among the top classes, by how
        many classes count: ``{"1": 0.68, "5": 0.88}``. Empty without labels.
    """

    pictures: int
    explained: int
    failed: int
    labelled: int
    top_accuracy: Mapping[str, float]

    @property
    def missing(self) -> int:
        """How many pictures are not done yet."""
        return self.pictures - self.explained - self.failed


@dataclass(frozen=True)
class Store(Pieces):
    """An open store, locked against other runs; `open_store` gives one.

    Attributes
    ----------
    folder, count, piece_size, digests
        As of `cam.batch.pieces.Pieces`.
    done : set of int
        The pieces that are there and whole.
    damaged : list of str
        What is wrong with those that are there and are not; they are to be made again.
    """

    done: set[int] = field(default_factory=set)
    damaged: list[str] = field(default_factory=list)

    def look(self) -> None:
        """Find out which pieces are there and whole."""
        for number in piece_numbers(self.folder):
            try:
                if number < self.pieces:
                    self.check(number)
                    self.done.add(number)
            except DamagedPieceError as error:
                self.damaged.append(f"{error.path} is damaged ({error.reason}): it is made again")

    def is_done(self, number: int) -> bool:
        """Tell whether a piece is there and whole."""
        return number in self.done

    def done_pictures(self) -> int:
        """Return how many pictures are done."""
        return sum(map(self.size_of, self.done))

    def all_pieces(self) -> Iterator[Piece]:
        """Yield the pieces, done or not, in their order; none is kept."""
        return _listed(self)

    def missing(self) -> Iterator[Piece]:
        """Yield the pieces that are not done, in their order; none is kept."""
        return (piece for piece in self.all_pieces() if not self.is_done(piece.number))

    def commit(self, result: PieceResult) -> None:
        """Write a piece.

        Raises
        ------
        CamError
            If it cannot be written. The store stays valid without it.
        """
        check_size(result.table)
        for name, data in result.files.items():
            _write(self.folder, name, data)
        if self.digests is not None:
            with _writing(self.folder):
                self.digests[result.number] = add_digest(self.folder, result.number, result.table)
        _write(self.folder, piece_name(result.number), result.table)
        self.done.add(result.number)

    def finish(self) -> Summary:
        """Write the summary and the list of the pictures that could not be read."""
        if self.digests is not None:
            with _writing(self.folder):
                write_digests(self.folder, {number: self.digests[number] for number in self.done})
        summary = summarize(self.folder)
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("name", "reason"))
        writer.writerows(failures(self.folder))
        _write(self.folder, _FAILED, table.getvalue().encode())
        _write(self.folder, _SUMMARY, _json(asdict(summary)))
        return summary


@contextmanager
def open_store(
    folder: PathLike,
    settings: Mapping[str, Any],
    entries: Iterable[Entry],
    class_names: Sequence[str],
    piece_size: int,
) -> Iterator[Store]:
    """Begin a store, or go on with one that was begun with the same settings and list.

    Parameters
    ----------
    folder : path-like
        The store. It is created, or is empty, or is a store. A store without any piece may be
        begun anew with other settings.
    settings : mapping
        Everything that the results depend on, ready for JSON.
    entries : iterable of cam.pictures.lists.Entry
        The pictures. Their names and labels are compared; where they lie may have changed.
    class_names : sequence of str
        The names of the classes, kept in the store for its readers.
    piece_size : int
        How many pictures are committed together.

    Yields
    ------
    Store
        The store, locked until the block ends.

    If the block ends with an exception before anything is committed, what this call has created
    is removed.

    Raises
    ------
    CamError
        If the folder is in use by another run, is something else, was begun with other settings
        or another list (the message shows the difference), or cannot be written.
    """
    target = Path(folder)
    with _usable_folder(target), _locked(target):
        # Another run may have been here between the first check and the lock.
        _check_usable(target)
        is_fresh = not (target / RUN).exists()
        try:
            record = {**settings, "piece_size": piece_size}
            pictures, digests = _begin(target, record, entries, class_names)
            store = Store(target, pictures, piece_size, digests)
            store.look()
            yield store
        except BaseException:
            if is_fresh and _is_without_results(target):
                _remove_beginning(target)
            raise


def is_store(path: PathLike) -> bool:
    """Tell whether a path is a folder with a store in it, finished or not."""
    return (Path(path) / RUN).is_file() and (Path(path) / PIECES).is_dir()


def begun_engine(folder: PathLike) -> str | None:
    """Return the engine that a store was begun with, as `cam.engines.open_engine` takes it.

    None if there is no store yet, or nothing in it, so that another one may begin it.
    """
    if not is_store(folder) or _is_without_results(Path(folder)):
        return None
    record = read_record(folder)
    engine, device = (
        recorded(folder, record, f"model.{name}", str) for name in ("engine", "device")
    )
    return f"{engine}:{device.lower()}"


def read_class_names(folder: PathLike) -> tuple[str, ...]:
    """Return the names of the classes that a store's class indices count, from 0.

    Raises
    ------
    CamError
        If they cannot be read.
    """
    return tuple(read_text(Path(folder) / _CLASSES, "the class names of").splitlines())


def summarize(folder: PathLike) -> Summary:
    """Count what a store holds, also one that is not finished.

    Parameters
    ----------
    folder : path-like
        The store.

    Returns
    -------
    Summary
        The counts, and the accuracy where labels are given.

    Raises
    ------
    CamError
        If the folder is not a store.
    """
    pictures = read_record(folder)["pictures"]["count"]
    explained = failed = labelled = top1 = top = classes = 0
    for row in _rows(folder):
        if row["status"] != "ok":
            failed += 1
            continue
        explained += 1
        classes = len(row["top_index"])
        if row["label"] is not None:
            labelled += 1
            top1 += row["label"] == row["top_index"][0]
            top += row["label"] in row["top_index"]
    accuracy = {"1": top1 / labelled, str(classes): top / labelled} if labelled else {}
    return Summary(pictures, explained, failed, labelled, accuracy)


def failures(folder: PathLike) -> Iterator[tuple[str, str]]:
    """Yield name and reason of the pictures that could not be read."""
    for row in _rows(folder):
        if row["status"] != "ok":
            yield row["name"], row["reason"]


def check_store(folder: PathLike) -> list[str]:
    """Read all of a store and say what is wrong with it.

    Parameters
    ----------
    folder : path-like
        The store.

    Returns
    -------
    list of str
        One line for each piece that is damaged or does not hold the pictures that it should; empty
        for a sound store. Pieces that are not done yet are not wrong.

    Raises
    ------
    CamError
        If the folder is not a store.
    """
    store, present = _existing(folder)
    problems, digest, there = [], hashlib.sha256(), set(present)
    for piece in _listed(store):
        for entry in piece.entries:
            digest.update(what_counts(entry))
        if piece.number in there:
            problems += _problems(store, piece)
    if digest.hexdigest() != read_record(folder)["pictures"]["sha256"]:
        problems.append(f"{store.folder / ENTRIES}: not the list that the batch was begun with")
    return problems


def _problems(store: Pieces, piece: Piece) -> list[str]:
    path, names = store.folder / piece_name(piece.number), [entry.name for entry in piece.entries]
    try:
        if store.check(piece.number)["name"].to_pylist() != names:
            return [f"{path}: {store.other_pictures(piece.number)}"]
    except DamagedPieceError as error:
        return [f"{path}: damaged: {error.reason}"]
    except CamError as error:
        return [str(error)]
    return []


def _listed(store: Pieces) -> Iterator[Piece]:
    """Yield the pieces that a store has when all is done, in their order; none is kept."""
    entries = entries_of(store.folder / ENTRIES)
    for number in range(store.pieces):
        chunk = tuple(islice(entries, store.size_of(number)))
        if len(chunk) < store.size_of(number):
            raise damaged_list(store.folder / ENTRIES, f"less than {store.count} pictures")
        yield Piece(number, number * store.piece_size, chunk)


def _existing(folder: PathLike) -> tuple[Pieces, list[int]]:
    """Return the pieces of a store as they should be, and which of them are there."""
    record, root = read_record(folder), Path(folder)
    # In this order: what a run commits meanwhile has its digest before its name.
    present = piece_numbers(root)
    digests = None if record["format"]["version"] == WITHOUT_DIGESTS else read_digests(root)
    store = Pieces(root, record["pictures"]["count"], record["piece_size"], digests)
    return store, [number for number in present if number < store.pieces]


def read_pieces(folder: PathLike, columns: Sequence[str]) -> Iterator[Any]:
    """Yield some columns of the pieces that are done, in their order.

    Parameters
    ----------
    folder : path-like
        The store.
    columns : sequence of str
        The columns' names.

    Yields
    ------
    pyarrow.Table
        One for each piece.

    Raises
    ------
    CamError
        If the folder is not a store, or a piece is damaged.
    """
    store, present = _existing(folder)
    for number in present:
        yield store.read(number, columns)


def _rows(folder: PathLike) -> Iterator[dict[str, Any]]:
    for table in read_pieces(folder, SUMMARY_COLUMNS):
        yield from table.to_pylist()


@contextmanager
def _usable_folder(folder: Path) -> Iterator[None]:
    """Create the store's folder, or check it; remove what is created and still empty on failure."""
    with ExitStack() as stack:
        with _writing(folder):
            stack.enter_context(made_folder(folder))
        _check_usable(folder)
        yield


def _begin(
    folder: Path, settings: Mapping[str, Any], entries: Iterable[Entry], class_names: Sequence[str]
) -> tuple[int, dict[int, str] | None]:
    """Write what a store has before its first piece, or compare it.

    Return the list's length, and the digests of the pieces if the store has them.
    """
    with _writing(folder):
        _remove_temporary_files(folder)
        begun = not _is_without_results(folder)
        with atomic_path(folder / ENTRIES) as temporary:
            pictures, digest = write_entries(temporary, entries)
            # A store goes on as it was begun.
            version = read_record(folder)["format"]["version"] if begun else FORMAT_VERSION
            record = {
                "format": {"name": FORMAT_NAME, "version": version},
                **settings,
                "pictures": {"count": pictures, "sha256": digest},
            }
            if begun:
                _check_same(folder, record, temporary)
            else:
                # The record comes first: without it the other names might be someone else's.
                _write(folder, RUN, _json(record))
                _write(folder, _CLASSES, "".join(f"{name}\n" for name in class_names).encode())
                (folder / PIECES).mkdir(exist_ok=True)
                (folder / DIGESTS).unlink(missing_ok=True)
        if version == WITHOUT_DIGESTS:
            return pictures, None
        digests = read_digests(folder)
        write_digests(folder, digests)
    return pictures, digests


def _is_passing(path: Path) -> bool:
    """Tell whether a name is that of a lock or a temporary file."""
    return path.name in (_LOCK, _HOLDER) or path.name.startswith(TEMPORARY_PREFIX)


def _is_without_results(folder: Path) -> bool:
    """Tell whether there is nothing in a store but its beginning."""
    return all(path.name in _BEGINNING or _is_passing(path) for path in folder.iterdir()) and all(
        _is_passing(path) for path in (folder / PIECES).glob("*")
    )


def _remove_beginning(folder: Path) -> None:
    """Remove all that a store has before its first piece, the lock included."""
    with suppress(OSError):
        _remove_temporary_files(folder)
        if (folder / PIECES).exists():
            (folder / PIECES).rmdir()
        for name in (DIGESTS, ENTRIES, _CLASSES, RUN, _LOCK):
            (folder / name).unlink(missing_ok=True)


def _check_usable(folder: Path) -> None:
    """Check that a folder is a store or empty, without touching it."""
    with _writing(folder):
        if (folder / RUN).exists():
            read_record(folder)
            return
        others = sorted(path.name for path in folder.iterdir() if not _is_passing(path))
    if others:
        raise CamError(
            f"{folder} is neither empty nor a store of cam batch ({others[0]} is in it); "
            "name another folder"
        )


def _check_same(folder: Path, record: Mapping[str, Any], listed: Path) -> None:
    stored = {**_UNSAID, **_flat(read_record(folder))}
    given = {**_UNSAID, **_flat(json.loads(_json(record)))}
    keys = [key for key in {**stored, **given} if stored.get(key) != given.get(key)]
    keys = [key for key in keys if key not in _TOLD]
    if not keys:
        return
    told = [
        f"{key} is {_shown(stored.get(key))} there and {_shown(given.get(key))} here"
        for key in keys
        if key != "pictures.sha256"
    ]
    if "pictures.sha256" in keys:
        told.append(_first_difference(folder, listed))
    raise CamError(
        f"{folder} was begun with other settings: {'; '.join(told)}; name another folder, or take "
        "the same settings"
    )


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def _shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value)


def _first_difference(folder: Path, listed: Path) -> str:
    entries = zip_longest(read_entries(folder), entries_of(listed))
    # The stored list may be damaged, and is then of no use here.
    with suppress(CamError):
        for number, (old, new) in enumerate(entries, 1):
            there, here = _named(old), _named(new)
            if there != here:
                return f"picture {number} is {there} there and {here} here"
    return "the list of pictures differs"


def _named(entry: Entry | None) -> str:
    if entry is None:
        return "not there"
    return entry.name if entry.label is None else f"{entry.name} with label {entry.label}"


def _json(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=2) + "\n").encode()


def _write(folder: Path, name: str, data: bytes) -> None:
    with _writing(folder), atomic_path(folder / name) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        # A rename that outlives a power failure must not come before the bytes.
        os.fsync(file.fileno())


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into one clear line."""
    try:
        yield
    except (CamError, OSError) as error:
        cause = error.__cause__ if isinstance(error, CamError) else error
        if isinstance(cause, OSError) and cause.errno in _DISK_FULL:
            raise CamError(
                f"no space left on the disk of {folder}; what is written is valid: make room and "
                "run the same command again, which goes on from there"
            ) from error
        if isinstance(error, CamError):
            raise
        raise CamError(f"cannot write {folder}: {error.strerror or error}") from error


def _remove_temporary_files(folder: Path) -> None:
    """Remove what a killed run has left under temporary names."""
    for path in folder.rglob(f"{TEMPORARY_PREFIX}*"):
        if path.is_file():
            path.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise CamError(f"{folder} is in use by {_holder(folder)}") from error
    except (OSError, NotImplementedError) as error:
        raise CamError(f"cannot lock {folder}: {error}") from error
    try:
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        holder = {"host": socket.gethostname(), "process": os.getpid(), "since": since}
        # Without it another run is refused as well, only with less to say.
        with suppress(OSError):
            (folder / _HOLDER).write_text(json.dumps(holder))
        yield
    finally:
        (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder(folder: Path) -> str:
    try:
        holder = read_json(folder / _HOLDER)
        return f"process {holder['process']} on {holder['host']} since {holder['since']}"
    except (CamError, LookupError, TypeError):
        return "another run"
