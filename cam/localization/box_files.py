"""Boxes as text, in the original's form and as corners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from cam.arguments import checked
from cam.errors import CamError, InvalidValueError
from cam.files import PathLike, read_text, write_text
from cam.localization.boxes import Box

BoxForm = Literal["corners", "original"]
"""How boxes are written as text: see :func:`format_boxes`."""

_FORMS: Mapping[BoxForm, tuple[Callable[[Box], str], Callable[..., Box]]] = {
    "corners": (lambda box: "{} {} {} {}\n".format(*box.corners), Box.from_corners),
    "original": (lambda box: "{} {} {} {} ".format(*box), Box),
}
"""How a box is written in each form, and how it is made of the four numbers."""


@checked
def format_boxes(boxes: Iterable[Box], form: BoxForm = "corners") -> str:
    r"""Write boxes as text.

    Parameters
    ----------
    boxes : iterable of Box
        The boxes, in the order to write them.
    form : {"corners", "original"}, optional
        ``corners``: one line ``x1 y1 x2 y2`` a box, `Box.corners`. ``original``: one line of
        ``x y w h`` and a blank for each box without a line end, byte for byte what the original
        writes.

    Returns
    -------
    str
        The text; empty if there are no boxes.

    Raises
    ------
    InvalidValueError
        If there is no such form.

    Examples
    --------
    >>> format_boxes([Box(41, 145, 362, 202)])
    '41 145 403 347\n'
    >>> format_boxes([Box(41, 145, 362, 202), Box(102, 188, 242, 126)], "original")
    '41 145 362 202 102 188 242 126 '
    """
    write, _ = _checked_form(form)
    return "".join(map(write, boxes))


@checked
def parse_boxes(text: str, form: BoxForm = "corners") -> list[Box]:
    """Read what :func:`format_boxes` writes.

    Parameters
    ----------
    text : str
        Whole numbers, four a box. Line ends and spaces both separate.
    form : {"corners", "original"}, optional
        What the four numbers are. It cannot be told from the text.

    Returns
    -------
    list of Box
        The boxes in the order of the text.

    Raises
    ------
    CamError
        If the text is not whole numbers in fours, or a box by its corners ends before it begins. In
        the original's form a size may be negative.

    Examples
    --------
    >>> parse_boxes("41 145 362 202 370 89 -3 1 ", "original")
    [Box(x=41, y=145, width=362, height=202), Box(x=370, y=89, width=-3, height=1)]
    """
    _, make = _checked_form(form)
    try:
        numbers = [int(word) for word in text.split()]
    except ValueError as error:
        raise CamError(f"boxes are whole numbers, four a box: {error}") from error
    if len(numbers) % 4:
        raise CamError(f"boxes are whole numbers, four a box, but there are {len(numbers)} numbers")
    boxes = [make(*numbers[start : start + 4]) for start in range(0, len(numbers), 4)]
    for index, box in enumerate(boxes, 1):
        if form == "corners" and min(box.width, box.height) < 0:
            raise CamError(f"box {index} has a negative size; is its form {form!r}?")
    return boxes


@checked
def write_boxes(path: PathLike, boxes: Iterable[Box], form: BoxForm = "corners") -> None:
    """Write boxes to a text file in a form of :func:`format_boxes`.

    Parameters
    ----------
    path : path-like
        The file; it is replaced if it exists.
    boxes : iterable of Box
        The boxes.
    form : {"corners", "original"}, optional
        The form of the text.

    Raises
    ------
    CamError
        If the file cannot be written.
    """
    write_text(path, format_boxes(boxes, form))


@checked
def read_boxes(path: PathLike, form: BoxForm = "corners") -> list[Box]:
    """Read boxes from a text file in a form of :func:`format_boxes`.

    Parameters
    ----------
    path : path-like
        The file.
    form : {"corners", "original"}, optional
        The form of the text.

    Returns
    -------
    list of Box
        The boxes in the order of the file.

    Raises
    ------
    CamError
        If the file is missing or does not hold boxes.
    """
    text = read_text(path, "the boxes")
    try:
        return parse_boxes(text, form)
    except CamError as error:
        raise CamError(f"{path}: {error}") from error


def _checked_form(form: BoxForm) -> tuple[Callable[[Box], str], Callable[..., Box]]:
    if form not in _FORMS:
        raise InvalidValueError(f"boxes are written as 'corners' or 'original', not {form!r}")
    return _FORMS[form]
