"""Files that matplotlib writes: with its own defaults, and the same bytes each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cam.errors import import_extra
from cam.files import PathLike, atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: Mapping[str, Mapping[str, None]] = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    ".svg": {"Creator": None, "Date": None},
}
"""The formats by their extensions. Each names what matplotlib shall not write into the file: its
version and the time."""

DOTS_PER_INCH = 200


def import_matplotlib() -> Any:
    """Import matplotlib.

    Raises
    ------
    CamError
        If it is not installed.
    """
    return import_extra(
        "matplotlib", "figures need matplotlib, which is not installed: pip install matplotlib"
    )


@contextmanager
def plain_matplotlib() -> Iterator[None]:
    """Draw with matplotlib's own defaults, whatever the user's settings are."""
    matplotlib = import_matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Type 42 keeps text as text, which can be searched and copied.
        matplotlib.rcParams["pdf.fonttype"] = 42
        # Without it the names of an SVG's parts are drawn at random.
        matplotlib.rcParams["svg.hashsalt"] = "cam"
        yield


def save_figure(figure: Figure, path: PathLike) -> None:
    """Write a figure; the file appears whole or not at all, without the time in it."""
    with atomic_path(path) as temporary:
        metadata = FORMATS[Path(path).suffix.lower()]
        figure.savefig(temporary, dpi=DOTS_PER_INCH, metadata=metadata)


def write_page(path: PathLike, picture: NDArray[np.uint8]) -> None:
    """Write a picture as a page of its size, with all of its pixels.

    Parameters
    ----------
    path : path-like
        The ``.pdf`` or ``.svg`` file.
    picture : numpy.ndarray
        uint8 (H, W, 3) in BGR or (H, W, 4) in BGRA order.

    Raises
    ------
    CamError
        If matplotlib is not installed, or the file cannot be written.
    """
    with plain_matplotlib():
        from matplotlib.figure import Figure

        rows, columns = picture.shape[:2]
        figure = Figure(figsize=(columns / DOTS_PER_INCH, rows / DOTS_PER_INCH), frameon=False)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        shown = picture[:, :, [2, 1, 0, *range(3, picture.shape[2])]]
        axes.imshow(shown, aspect="auto", interpolation="none")
        save_figure(figure, path)
