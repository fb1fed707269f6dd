"""Pictures with labels as an LMDB, the way Caffe's own ``convert_imageset`` makes it."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cam.errors import CamError, InvalidValueError, MissingFileError
from cam.files import PathLike, write_text
from cam.pictures.lists import list_lines, split_label
from cam.training.caffetools import failure_line, find_tool
from cam.training.snapshots import unfinished_folder

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
LARGEST_LABEL = 2**31 - 1

_PROCESSED = re.compile(r"Processed (\d+) files")
_UNREADABLE = re.compile(r"Could not open or find file (.*)")


@dataclass(frozen=True)
class LabelledPicture:
    """A picture's file and its class.

    Attributes
    ----------
    path : str
        Relative to the folder with the pictures.
    label : int
        The class, from 0.
    """

    path: str
    label: int


def list_folder(folder: PathLike) -> tuple[list[LabelledPicture], list[str]]:
    """List the pictures of a folder that has one folder for each class.

    Parameters
    ----------
    folder : path-like
        The folder.

    Returns
    -------
    pictures : list of LabelledPicture
        The pictures of each class in the order of their names.
    names : list of str
        The names of the classes, sorted; a class's label is its place in this list.

    Raises
    ------
    CamError
        If there is no such folder, it has no folders in it, or one of them has no pictures.
    """
    root = Path(folder)
    if not root.is_dir():
        raise CamError(f"{root}: no such folder")
    names = sorted(child.name for child in root.iterdir() if child.is_dir())
    if not names:
        raise CamError(f"{root}: no folders in it; each class needs one, or give a list of labels")
    pictures = []
    for label, name in enumerate(names):
        files = sorted(
            file.relative_to(root).as_posix()
            for file in (root / name).rglob("*")
            if file.suffix.lower() in PICTURE_SUFFIXES
        )
        if not files:
            raise CamError(f"{root / name}: no pictures in it ({', '.join(PICTURE_SUFFIXES)})")
        pictures += [LabelledPicture(file, label) for file in files]
    return pictures, names


def read_list(path: PathLike) -> list[LabelledPicture]:
    """Read a list of pictures and labels as Caffe's tools take it.

    Parameters
    ----------
    path : path-like
        A text file with a path, a space and a label on each line.

    Returns
    -------
    list of LabelledPicture
        The lines, in their order.

    Raises
    ------
    CamError
        If the file cannot be read or is empty, or a line has no label; the message names the line.
        (Caffe's own tool takes such a line for a picture of class 0.)
    """
    pictures = []
    for number, line in list_lines(path):
        file, label = split_label(line)
        if not _is_text(line):
            raise CamError(f"{path}, line {number}: not text in UTF-8")
        if label is None or len(label) > len(str(LARGEST_LABEL)) or int(label) > LARGEST_LABEL:
            raise CamError(
                f"{path}, line {number}: {line[:200]!r} is not a path, a space and a label"
            )
        pictures.append(LabelledPicture(file, int(label)))
    if not pictures:
        raise CamError(f"{path}: it lists no pictures")
    return pictures


def _is_text(line: str) -> bool:
    try:
        return bool(line.encode())
    except UnicodeEncodeError:
        return False


def write_lmdb(
    pictures: Sequence[LabelledPicture],
    folder: PathLike,
    output: PathLike,
    *,
    size: int = 256,
    seed: int | None = None,
    encoding: Literal["jpg", "png"] | None = None,
    skip_unreadable: bool = False,
    report: Callable[[int], None] = lambda done: None,
) -> int:
    """Write pictures as an LMDB for Caffe's ``Data`` layer, with Caffe's ``convert_imageset``.

    Each record is a ``Datum`` under the key ``00000000_path``, numbered in the order of the list.

    Parameters
    ----------
    pictures : sequence of LabelledPicture
        The pictures.
    folder : path-like
        The folder that their paths are relative to.
    output : path-like
        The LMDB, a folder. It appears complete or not at all, and must not be there yet.
    size : int, optional
        Rows and columns that pictures are resized to (OpenCV, bilinear, without regard to their
        form, as for the paper's networks).
    seed : int, optional
        Shuffle the pictures; the same seed gives the same order, which ``convert_imageset
        --shuffle`` does not.
    encoding : {"jpg", "png"}, optional
        Store the resized pictures compressed, for a tenth of the space and slower reading; as
        plain bytes if not given.
    skip_unreadable : bool, optional
        Leave out pictures that cannot be decoded, as Caffe's tool does, and not stop at the first.
    report : callable, optional
        Called with how many pictures are done, each thousand.

    Returns
    -------
    int
        How many pictures are in the LMDB.

    Raises
    ------
    CamError
        If Caffe's tools are not installed, a picture is missing or cannot be decoded, or the LMDB
        exists or cannot be written.
    """
    tool = find_tool("convert_imageset")
    root, target = Path(folder), Path(output)
    _check_request(pictures, root, target, size)
    ordered = list(pictures)
    if seed is not None:
        random.Random(seed).shuffle(ordered)
    encoded = ["--encoded", f"--encode_type={encoding}"] if encoding else []
    options = [f"--resize_height={size}", f"--resize_width={size}", *encoded]
    with unfinished_folder(target) as workspace:
        listed, lmdb = workspace / "list.txt", workspace / "lmdb"
        write_text(listed, "".join(f"{p.path} {p.label}\n" for p in ordered))
        command = [str(tool), *options, f"{root}/", str(listed), str(lmdb)]
        done = _convert(command, skip_unreadable, report)
        if done == 0:
            raise CamError(f"none of the {len(ordered)} pictures of {root} can be decoded")
        lmdb.chmod(0o755)
        lmdb.rename(target)
    return done


def _check_request(
    pictures: Sequence[LabelledPicture], root: Path, target: Path, size: int
) -> None:
    """Raise `CamError` for what Caffe's tool would leave out or fail at."""
    if not pictures:
        raise InvalidValueError("no pictures to write")
    if size < 1:
        raise InvalidValueError(f"pictures of {size} pixels; the size must be positive")
    if target.exists():
        raise CamError(f"{target} is there already; remove it or choose another name")
    for picture in pictures:
        if not (root / picture.path).is_file():
            raise MissingFileError(f"{root / picture.path}: no such picture")


def _convert(command: Sequence[str], skip_unreadable: bool, report: Callable[[int], None]) -> int:
    """Run ``convert_imageset``; return how many pictures it wrote."""
    # Its log is the only place where it says what it left out and how many it wrote.
    environment = {**os.environ, "GLOG_minloglevel": "0", "GLOG_logtostderr": "1"}
    done, log = 0, ""
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                log = line if line.startswith(("F", "*")) and "] " in line else log
                if processed := _PROCESSED.search(line):
                    done = int(processed[1])
                    report(done)
                unreadable = _UNREADABLE.search(line)
                if unreadable and not skip_unreadable:
                    raise CamError(f"{unreadable[1].strip()}: not a picture that can be decoded")
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise CamError(f"Caffe's convert_imageset failed: {failure_line(log)}")
    return done
