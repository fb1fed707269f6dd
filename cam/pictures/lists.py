"""Pictures as people name them: folders, globs, Caffe's lists, tables, tar files, single files.

The order is fixed: inputs in the order in which they are named, folders and globs sorted, lists
and tar files as they are. Nothing is read but names, and nothing is kept, so that a list may be
of any length.
"""

from __future__ import annotations

import csv
import glob
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

from cam.errors import CamError, MissingFileError
from cam.files import MAX_BYTES, PathLike, open_regular, reading
from cam.pictures.reading import Picture, decode_picture

PICTURE_SUFFIXES = (
    *(".bmp", ".dib", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
"""What counts as a picture in a folder or a tar file."""

PATH_COLUMNS = ("path", "image", "file", "filename", "name")
LABEL_COLUMNS = ("label", "class", "category")
"""Names of the columns of a CSV table; the first that is there counts."""

LONGEST_LINE = 1 << 16
"""Characters of a line of a list or a table; a path has 4,096 at most."""

LONGEST_LABEL = 1000
"""Characters of a class's name or number."""

_LONGEST_HEADER = 1 << 20

LabelIndex = Callable[[str], int]

_LIST_SUFFIXES = frozenset((".txt", ".lst", ".list"))
_COMPRESSED_TAR_SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")


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
    label : int, str or None
        Its class, where a label is given: the index, from 0, or the label as it was given if
        nobody said how to find an index.
    offset, size : int or None
        Where its bytes begin in a tar file, and how many they are.
    box : tuple of int or None
        The part of the picture that is meant: ``x, y, width, height`` in its pixels.
    """

    name: str
    path: str
    label: int | str | None = None
    offset: int | None = None
    size: int | None = None
    box: tuple[int, int, int, int] | None = None

    @property
    def is_whole_file(self) -> bool:
        """Whether the picture is all that its file holds."""
        return self.offset is None and self.box is None

    def read(self) -> Picture:
        """Return the picture, or the part of it that is meant; see `read_picture`.

        Raises
        ------
        CamError
            If it cannot be read; the message begins with the picture's name.
        """
        try:
            with open_regular(self.path) as file:
                # Of a tar file, which may be of any size, only its part.
                size = os.fstat(file.fileno()).st_size if self.size is None else self.size
                if size > MAX_BYTES:
                    raise CamError(f"over {MAX_BYTES // 2**20} MB, too large for a picture")
                file.seek(self.offset or 0)
                data = file.read(size)
        except CamError as error:
            raise CamError(f"{self.name}: {_without_path(error, self.path)}") from error
        picture = decode_picture(data, self.name)
        return picture if self.box is None else self._part(picture, self.box)

    def _part(self, picture: Picture, box: tuple[int, int, int, int]) -> Picture:
        x, y, width, height = box
        part = picture[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
        if not part.size:
            raise CamError(f"{self.name}: the box {box} lies outside the picture")
        return part


def _without_path(error: CamError, path: str) -> str:
    return str(error).removeprefix(f"cannot read {path}: ")


def find_pictures(
    inputs: Sequence[PathLike],
    label_index: LabelIndex | None = None,
    root: PathLike | None = None,
) -> Iterator[Entry]:
    """Yield the pictures that several inputs name, in their fixed order.

    Parameters
    ----------
    inputs : sequence of path-like
        Each a folder, which is searched through; a glob pattern, in which ``**`` stands for any
        folders; a list file (``.txt``, ``.lst`` or ``.list``) with a path a line, or, as Caffe's,
        with a path, a space and a class number; a table (``.csv``) with a header, a column `path`
        and, if wanted, a column `label`; an uncompressed ``.tar`` file; or a picture.
    label_index : callable, optional
        Returns the index of the class that a label means, or raises `CamError`. Labels stay as
        they are given without it.
    root : path-like, optional
        The folder that relative paths of lists and tables start from; each list's own folder if
        not given.

    Yields
    ------
    Entry
        The next picture. Pictures that a list names are not looked for: they may be missing, or
        their names may be such as no file has.

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
    find = label_index and lru_cache(maxsize=4096)(label_index)
    for source in [os.fspath(item) for item in inputs]:
        empty = True
        for entry in _entries_of(source, find, root):
            empty = False
            yield entry
        if empty:
            raise CamError(f"{source}: no pictures in it ({', '.join(sorted(PICTURE_SUFFIXES))})")


def _entries_of(
    source: str, label_index: LabelIndex | None, root: PathLike | None
) -> Iterator[Entry]:
    path = Path(source)
    with reading(path):  # a name may be longer than any file's
        exists, is_folder = path.exists(), path.is_dir()
    if is_folder:
        return _folder_entries(path)
    if not exists:
        if glob.has_magic(source):
            return _glob_entries(source)
        raise MissingFileError(f"no file or folder {source}")
    if path.name.lower().endswith(_COMPRESSED_TAR_SUFFIXES):
        raise CamError(f"{source}: a compressed tar file cannot be read at any place; unpack it")
    if path.suffix.lower() == ".tar":
        return _tar_entries(path)
    if path.suffix.lower() == ".csv":
        return _table_entries(path, label_index, root)
    if path.suffix.lower() in _LIST_SUFFIXES:
        return read_list(path, label_index, root)
    return iter([Entry(_text(source), str(path.absolute()))])


def _folder_entries(folder: Path) -> Iterator[Entry]:
    top = folder.absolute()
    for path in _walk(str(top)):
        yield Entry(_text(Path(path).relative_to(top).as_posix()), path)


def _walk(top: str) -> Iterator[str]:
    pending = [(top, True)]
    while pending:
        path, is_folder = pending.pop()
        if not is_folder:
            yield path
            continue
        with reading(path, "the folder"), os.scandir(path) as found:
            items = sorted(found, key=lambda item: os.fsencode(item.name), reverse=True)
        for item in items:
            if item.is_dir(follow_symlinks=False):
                pending.append((item.path, True))
            elif _is_picture(item.name) and not item.is_dir():
                pending.append((item.path, False))


def _glob_entries(pattern: str) -> Iterator[Entry]:
    # Unlike Path.glob it passes over hidden files, as shells do.
    for name in sorted(glob.iglob(pattern, recursive=True), key=os.fsencode):  # noqa: PTH207
        path = Path(name)
        if path.is_file():
            yield Entry(_text(name), str(path.absolute()))


def read_list(
    file: PathLike, label_index: LabelIndex | None = None, root: PathLike | None = None
) -> Iterator[Entry]:
    """Yield the pictures of a list: one a line, with or without labels, as Caffe's tools take them.

    Parameters
    ----------
    file : path-like
        A text file with a path a line. If each line ends in a blank and a whole number, these are
        Caffe's class numbers; a file's name may end in a number as well, but not each of a list.
    label_index, root : optional
        As for `find_pictures`.

    Yields
    ------
    Entry
        The next line's picture.

    Raises
    ------
    CamError
        If the file cannot be read, or a line is none of a list; the message says which.
    """
    path = Path(file)
    folder = path.parent if root is None else Path(root)
    labelled = all(split_label(text)[1] is not None for _, text in list_lines(path))
    for number, text in list_lines(path):
        name, label = split_label(text) if labelled else (text, None)
        yield _entry(folder, name, label, label_index, f"{path}, line {number}")


def split_label(text: str) -> tuple[str, str | None]:
    """Return the path and the class number of a line of Caffe's lists; None if it has none.

    Examples
    --------
    >>> split_label("my photo.jpg 65"), split_label("my photo.jpg")
    (('my photo.jpg', '65'), ('my photo.jpg', None))
    """
    words = text.rsplit(maxsplit=1)
    if len(words) == 2 and words[1].isascii() and words[1].isdecimal():
        return words[0], words[1]
    return text, None


def list_lines(file: PathLike) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line of a list that is not blank.

    Raises
    ------
    CamError
        If the file cannot be read or is no text; the message says which line is none.
    """
    with _text_lines(Path(file), "the list") as lines:
        for number, line in enumerate(lines, 1):
            if "\0" in line:
                raise CamError(f"{file}, line {number}: not text; a list has a path a line")
            if text := line.strip():
                yield number, text


@contextmanager
def _text_lines(path: Path, what: str) -> Iterator[Iterator[str]]:
    """Open a text file of names: in UTF-8 as far as it is, since names are any bytes."""
    with open_regular(path, what) as file:
        if file.read(2) in {b"\xff\xfe", b"\xfe\xff"}:
            raise CamError(f"cannot read {what} {path}: not a text file in UTF-8 but in UTF-16")
        file.seek(0)
        text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
        yield _bounded(text, path)


def _bounded(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise CamError(f"{path}, line {number}: over {LONGEST_LINE} characters")
        yield line


def _table_entries(
    file: Path, label_index: LabelIndex | None, root: PathLike | None
) -> Iterator[Entry]:
    folder = file.parent if root is None else Path(root)
    try:
        with _text_lines(file, "the table") as lines:
            # No file has a NUL in its name. Such a picture is missing, and the others are not.
            usable = (line.replace("\0", "\\x00") if line.strip() else "\n" for line in lines)
            rows = csv.DictReader(usable)
            columns = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
            path_column = _first_column(columns, PATH_COLUMNS)
            label_column = _first_column(columns, LABEL_COLUMNS)
            if path_column is None:
                raise CamError(
                    f"{file}: its first line names no column {' or '.join(PATH_COLUMNS)}"
                )
            for row in rows:
                name = (row[path_column] or "").strip()
                label = ((row[label_column] if label_column is not None else "") or "").strip()
                if not name:
                    raise CamError(f"{file}, line {rows.line_num}: no path")
                where = f"{file}, line {rows.line_num}"
                yield _entry(folder, name, label or None, label_index, where)
    except csv.Error as error:
        raise CamError(f"{file}: not a table with commas: {error}") from error


def _entry(
    folder: Path, name: str, label: str | None, label_index: LabelIndex | None, where: str
) -> Entry:
    path = str((folder / name).absolute())
    if label is None:
        return Entry(_text(name), path)
    if len(label) > LONGEST_LABEL:
        raise CamError(f"{where}: a label of {len(label)} characters")
    try:
        return Entry(_text(name), path, label_index(label) if label_index else label)
    except CamError as error:
        raise CamError(f"{where}: {error}") from error


def _first_column(columns: dict[str, str], wanted: Iterable[str]) -> str | None:
    return next((columns[name] for name in wanted if name in columns), None)


def _tar_entries(file: Path) -> Iterator[Entry]:
    path = str(file.absolute())
    try:
        with (
            open_regular(file) as blocks,
            tarfile.open(fileobj=_Headers(blocks), mode="r:") as archive,
        ):
            while (member := archive.next()) is not None:
                # The archive would keep every member that it has seen.
                archive.members.clear()  # type: ignore[attr-defined]
                if member.size < 0 or archive.offset <= member.offset:
                    raise tarfile.ReadError(f"a member of {member.size} bytes")
                if member.isreg() and not member.issparse() and _is_picture(member.name):
                    name = _text(member.name)
                    yield Entry(name, path, offset=member.offset_data, size=member.size)
            # tarfile takes any block that it cannot read for the end, which is a block of zeros.
            blocks.seek(archive.offset)
            if blocks.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise CamError(
                    f"{file}: the tar file is cut short or damaged at byte {archive.offset}"
                )
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        if isinstance(error, CamError):
            raise
        raise CamError(f"{file}: not a whole, uncompressed tar file: {error}") from error


class _Headers(io.RawIOBase):
    """A tar file of which only headers are read: they say themselves how long they are."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def with_unique_stems(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield entries whose names differ without folder and extension, as files named by them must.

    Parameters
    ----------
    entries : iterable of Entry
        Pictures.

    Yields
    ------
    Entry
        The same.

    Raises
    ------
    CamError
        If two have the same name.
    """
    seen: dict[str, str] = {}
    for entry in entries:
        stem = PurePosixPath(entry.name).stem
        if stem in seen:
            raise CamError(
                f"two pictures called {stem}, whose files would be the same: {seen[stem]} and "
                f"{entry.name}; rename one"
            )
        seen[stem] = entry.name
        yield entry


def local_files(entries: Iterable[Entry]) -> list[Path]:
    """Return the paths of pictures that lie on this machine as files of their own.

    Parameters
    ----------
    entries : iterable of Entry
        Pictures, as `find_pictures` yields them.

    Returns
    -------
    list of pathlib.Path
        Their absolute paths.

    Raises
    ------
    CamError
        If one is inside a tar file.
    MissingFileError
        If one is not there.
    """
    paths = []
    for entry in entries:
        if entry.offset is not None:
            raise CamError(f"{entry.name} is inside {entry.path}; unpack it")
        path = Path(entry.path)
        with reading(path):
            path.stat()
        paths.append(path)
    return paths


def _is_picture(name: str) -> bool:
    return PurePath(name).suffix.lower() in PICTURE_SUFFIXES


def _text(name: str) -> str:
    """Return a name without the stray bytes that a store's UTF-8 cannot hold."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
