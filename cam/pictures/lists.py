"""The pictures of a batch: found in folders, globs, list files, CSV tables and tar files.

The order is fixed: inputs in the order in which they are named, folders and globs sorted, lists
and tar files as they are. Nothing is read but names, and nothing is kept, so that a list may be
of any length.
"""

from __future__ import annotations

import csv
import glob
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath

from cam.errors import CamError
from cam.pictures.reading import MAX_FILE_BYTES, Picture, decode_picture

PICTURE_SUFFIXES = (
    *(".bmp", ".dib", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
"""What counts as a picture in a folder or a tar file."""

PATH_COLUMNS = ("path", "image", "file", "filename", "name")
LABEL_COLUMNS = ("label", "class", "category")
"""Names of the columns of a CSV table; the first that is there counts."""

_LIST_SUFFIXES = frozenset((".txt", ".lst", ".list"))
_COMPRESSED_TAR_SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")


LabelIndex = Callable[[str], int | None]


@dataclass(frozen=True)
class Entry:
    """One picture of a batch.

    Attributes
    ----------
    name : str
        What the picture is called in the results: the path inside its folder or tar file, or the
        path as the list has it.
    path : str
        The absolute path of its file, or of the tar file that it is in.
    label : int or None
        The index of its class, from 0, where a label is given.
    offset, size : int or None
        Where its bytes begin in a tar file, and how many they are.
    """

    name: str
    path: str
    label: int | None = None
    offset: int | None = None
    size: int | None = None

    def read(self) -> Picture:
        """Return the picture; see `cam.pictures.reading.read_picture`.

        Raises
        ------
        CamError
            If it cannot be read; the message begins with the picture's name.
        """
        return decode_picture(self._bytes(), self.name)

    def _bytes(self) -> bytes:
        try:
            # Opening a named pipe would wait for someone to write to it.
            status = Path(self.path).stat()
            if not stat.S_ISREG(status.st_mode):
                raise CamError(f"{self.name}: not a file")
            size = status.st_size if self.size is None else self.size
            if size > MAX_FILE_BYTES:
                limit = MAX_FILE_BYTES // 2**20
                raise CamError(f"{self.name}: over {limit} MB, too large for a picture")
            with Path(self.path).open("rb") as file:
                file.seek(self.offset or 0)
                return file.read(size)
        except OSError as error:
            raise CamError(f"{self.name}: {error.strerror}") from error


def find_pictures(
    inputs: Sequence[str | os.PathLike[str]],
    label_index: LabelIndex | None = None,
    root: str | os.PathLike[str] | None = None,
) -> Iterator[Entry]:
    """Yield the pictures of a batch in their fixed order.

    Parameters
    ----------
    inputs : sequence of path-like
        Each a folder, which is searched through; a glob pattern, in which ``**`` stands for any
        folders; a list file (``.txt``, ``.lst`` or ``.list``) with a path a line, or, as Caffe's,
        with a path, a space and a class number; a table (``.csv``) with a header, a column `path`
        and, if wanted, a column `label`; an uncompressed ``.tar`` file; or a picture.
    label_index : callable, optional
        Returns the index of the class that a label means, or raises `CamError`. Without it only
        labels that are numbers count.
    root : path-like, optional
        The folder that relative paths of lists and tables start from; each list's own folder if
        not given.

    Yields
    ------
    Entry
        The next picture. Pictures that a list names are not looked for: they may be missing.

    Raises
    ------
    CamError
        If an input is missing, holds no picture or cannot be understood.

    Examples
    --------
    >>> from cam.pictures.lists import find_pictures
    >>> [entry.name for entry in find_pictures(["photographs"])]  # doctest: +SKIP
    ['coast/a.jpg', 'coast/b.jpg', 'z.png']
    """
    find = lru_cache(maxsize=4096)(label_index or _number)
    start = None if root is None else Path(root)
    for source in [os.fspath(item) for item in inputs]:
        empty = True
        for entry in _entries_of(source, find, start):
            empty = False
            yield entry
        if empty:
            raise CamError(f"{source}: no pictures in it ({_suffixes()})")


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _entries_of(source: str, label_index: LabelIndex, root: Path | None) -> Iterator[Entry]:
    path = Path(source)
    lower = path.name.lower()
    if path.is_dir():
        return _folder_entries(path)
    if not path.exists():
        if glob.has_magic(source):
            return _glob_entries(source)
        raise CamError(f"no file or folder {source}")
    if lower.endswith(_COMPRESSED_TAR_SUFFIXES):
        raise CamError(f"{source}: a compressed tar file cannot be read at any place; unpack it")
    if path.suffix.lower() == ".tar":
        return _tar_entries(path)
    if path.suffix.lower() == ".csv":
        return _table_entries(path, label_index, root)
    if path.suffix.lower() in _LIST_SUFFIXES:
        return _list_entries(path, label_index, root)
    return iter([Entry(_text(source), str(path.absolute()))])


def _folder_entries(folder: Path) -> Iterator[Entry]:
    top = folder.absolute()
    for path in _walk(str(top)):
        yield Entry(_text(Path(path).relative_to(top).as_posix()), path)


def _walk(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: os.fsencode(item.name))
    except OSError as error:
        raise CamError(f"cannot read the folder {folder}: {error.strerror}") from error
    for item in items:
        if item.is_dir(follow_symlinks=False):
            yield from _walk(item.path)
        elif _is_picture(item.name) and not item.is_dir():
            yield item.path


def _glob_entries(pattern: str) -> Iterator[Entry]:
    # Unlike Path.glob it passes over hidden files, as shells do.
    for name in sorted(glob.iglob(pattern, recursive=True), key=os.fsencode):  # noqa: PTH207
        path = Path(name)
        if path.is_file():
            yield Entry(_text(name), str(path.absolute()))


def _list_entries(file: Path, label_index: LabelIndex, root: Path | None) -> Iterator[Entry]:
    # Caffe's lists have a class number behind the last space of every line; a file name may end
    # in one as well, but not each file name of a list.
    labelled = all(text.rpartition(" ")[2].isdecimal() and " " in text for _, text in _lines(file))
    folder = file.parent if root is None else root
    for number, text in _lines(file):
        name, label = text, None
        if labelled:
            name, _, class_number = text.rpartition(" ")
            label = _label(class_number, label_index, file, number)
        yield Entry(_text(name), str((folder / name).absolute()), label)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
            for number, line in enumerate(lines, 1):
                if "\0" in line:
                    raise CamError(f"{file}, line {number}: not text; a list has a path a line")
                if text := line.strip():
                    yield number, text
    except OSError as error:
        raise CamError(f"cannot read the list {file}: {error.strerror}") from error


def _table_entries(file: Path, label_index: LabelIndex, root: Path | None) -> Iterator[Entry]:
    folder = file.parent if root is None else root
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            rows = csv.DictReader(text)
            columns = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
            path_column = _first_column(columns, PATH_COLUMNS)
            label_column = _first_column(columns, LABEL_COLUMNS)
            if path_column is None:
                raise CamError(
                    f"{file}: its first line names no column {' or '.join(PATH_COLUMNS)}"
                )
            for row in rows:
                name = (row[path_column] or "").strip()
                given = (row.get(label_column or "") or "").strip()
                if not name:
                    raise CamError(f"{file}, line {rows.line_num}: no path")
                label = _label(given, label_index, file, rows.line_num) if given else None
                yield Entry(_text(name), str((folder / name).absolute()), label)
    except OSError as error:
        raise CamError(f"cannot read the table {file}: {error.strerror}") from error
    except csv.Error as error:
        raise CamError(f"{file}: not a table with commas: {error}") from error


def _first_column(columns: dict[str, str], wanted: Iterable[str]) -> str | None:
    return next((columns[name] for name in wanted if name in columns), None)


def _label(text: str, label_index: LabelIndex, file: Path, line: int) -> int | None:
    try:
        return label_index(text)
    except ValueError as error:
        raise CamError(f"{file}, line {line}: {error}") from error


def _tar_entries(file: Path) -> Iterator[Entry]:
    path = str(file.absolute())
    try:
        with tarfile.open(path, "r:") as archive:
            while (member := archive.next()) is not None:
                # The archive would keep every member that it has seen.
                archive.members.clear()  # type: ignore[attr-defined]
                if member.isreg() and not member.issparse() and _is_picture(member.name):
                    name = _text(member.name)
                    yield Entry(name, path, offset=member.offset_data, size=member.size)
            end = archive.offset
        # tarfile takes any block that it cannot read for the end, which is a block of zeros.
        with file.open("rb") as blocks:
            blocks.seek(end)
            if blocks.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise CamError(f"{file}: the tar file is cut short or damaged at byte {end}")
    except (tarfile.TarError, EOFError) as error:
        raise CamError(f"{file}: not a whole, uncompressed tar file: {error}") from error
    except OSError as error:
        raise CamError(f"cannot read {file}: {error.strerror}") from error


def _is_picture(name: str) -> bool:
    return PurePath(name).suffix.lower() in PICTURE_SUFFIXES


def _text(name: str) -> str:
    """Return a name without the stray bytes that a store's UTF-8 cannot hold."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _suffixes() -> str:
    return ", ".join(sorted(PICTURE_SUFFIXES))
