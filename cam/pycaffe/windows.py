"""Windows as files: what OpenCV and Matplotlib would show, written as numbered PNG files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.files import atomic_path, file_name
from cam.pictures.reading import write_picture
from cam.pycaffe.replacing import replaced

__all__ = ["WindowFiles", "has_display", "saved_windows"]

KEYS = (27, ord("q"))
"""What the one who is not there presses, in turn: Escape and q, which end most loops."""

NO_KEY = -1

MATPLOTLIB_BACKEND = "module://cam.pycaffe.matplotlib_files"
_OTHER_FUNCTIONS = (
    "createTrackbar",
    "destroyAllWindows",
    "destroyWindow",
    "moveWindow",
    "namedWindow",
    "resizeWindow",
    "setMouseCallback",
    "setTrackbarPos",
    "setWindowProperty",
    "setWindowTitle",
    "startWindowThread",
)
_BACKEND_VARIABLE = "MPLBACKEND"


def has_display() -> bool:
    """Tell whether windows can be opened here."""
    named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return not sys.platform.startswith("linux") or bool(named)


class WindowFiles:
    """Writes what windows show, each picture to the next number and its window's name.

    Parameters
    ----------
    folder : pathlib.Path
        Where to; it is made when there is something to write.
    """

    current: WindowFiles | None = None
    """The one that Matplotlib's figures go to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self._shown: dict[str, bytes] = {}
        self._is_new = False
        self._waits = 0

    def next_path(self, name: str) -> Path:
        """Return the file of the next picture of a window."""
        self.count += 1
        if self.count == 1:
            print(f"cam: windows are written to {self.folder}", file=sys.stderr)
        return self.folder / f"{self.count:03d}-{file_name(name)}.png"

    def show(self, name: str, picture: Any) -> None:
        """Write a picture as OpenCV would show it; the same again in the same window is not.

        Parameters
        ----------
        name : str
            The window.
        picture : array-like
            (H, W) or (H, W, 1, 3 or 4): bytes, larger integers, or numbers in [0, 1].
        """
        pixels = _as_shown(np.asarray(picture))
        content = pixels.tobytes()
        if self._shown.get(name) != content:
            self._shown[name] = content
            self._is_new = True
            write_picture(self.next_path(str(name)), pixels)

    def wait_key(self, delay: int = 0) -> int:
        """Return the key that is pressed at a window.

        None, as long as a loop with a delay shows something new each time; Escape and q in turn
        where it waits for a key, or goes on showing the same.
        """
        was_new, self._is_new = self._is_new, False
        if delay > 0 and was_new:
            return NO_KEY
        self._waits += 1
        return KEYS[(self._waits - 1) % len(KEYS)]

    def save_figure(self, name: str, figure: Any) -> None:
        """Write one of Matplotlib's figures."""
        with atomic_path(self.next_path(name)) as temporary:
            figure.savefig(temporary, format="png")


def _as_shown(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a picture in bytes, by the rules of OpenCV's `imshow`."""
    if picture.dtype.kind == "f":
        picture = np.rint(np.nan_to_num(picture) * 255)
    elif picture.dtype.itemsize > 1:
        picture = picture // 256
    pixels: NDArray[np.uint8] = np.clip(picture, 0, 255).astype(np.uint8)
    return pixels


def _nothing(*arguments: Any, **options: Any) -> None:
    """Take the place of functions that arrange windows."""


@contextmanager
def saved_windows(folder: Path) -> Iterator[WindowFiles]:
    """Write windows to a folder, instead of showing them, for the while.

    Parameters
    ----------
    folder : pathlib.Path
        Where to.
    """
    files = WindowFiles(folder)
    functions: Mapping[str, Callable[..., Any]] = {
        "imshow": files.show,
        "waitKey": files.wait_key,
        "waitKeyEx": files.wait_key,
        **dict.fromkeys(_OTHER_FUNCTIONS, _nothing),
    }
    WindowFiles.current = files
    before = os.environ.get(_BACKEND_VARIABLE)
    os.environ[_BACKEND_VARIABLE] = MATPLOTLIB_BACKEND
    try:
        with replaced(cv2, functions), _matplotlib_keeps_its_backend():
            yield files
    finally:
        WindowFiles.current = None
        os.environ.pop(_BACKEND_VARIABLE)
        if before is not None:
            os.environ[_BACKEND_VARIABLE] = before


@contextmanager
def _matplotlib_keeps_its_backend() -> Iterator[None]:
    """Let scripts ask for a backend with windows, and not get it."""
    if find_spec("matplotlib") is None:
        yield
        return
    import matplotlib

    # Read as an item, the setting would look for a display.
    before = dict.__getitem__(matplotlib.rcParams, "backend")
    matplotlib.use(MATPLOTLIB_BACKEND)
    try:
        with replaced(matplotlib, {"use": _nothing}):
            yield
    finally:
        dict.__setitem__(matplotlib.rcParams, "backend", before)
