"""The errors that a user can cause, each one clear line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CamError(Exception):
    """Bad input: the message says what is wrong, where, and what to do about it.

    The message is one line, whatever it quotes; the command line prints it and exits with code 2.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(" ".join(message.split()) if "\n" in message else message)


class InvalidValueError(CamError, ValueError):
    """An argument of the right type with a value that the function cannot take."""


class MissingFileError(CamError, FileNotFoundError):
    """A file that was named is not there."""


LONGEST_MESSAGE = 600
"""Characters of a message on a terminal, which may name what a file holds, of any length."""


def one_line(message: str) -> str:
    r"""Return a message as one line that fits a terminal, with nothing in it that one obeys.

    Examples
    --------
    >>> one_line("cannot read \x1b[31ma.png:\n  not a picture")
    'cannot read [31ma.png: not a picture'
    """
    # The characters that count are near the front; looking at all of a long one takes time.
    start = message[: 4 * LONGEST_MESSAGE]
    line = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    is_whole = len(line) <= LONGEST_MESSAGE and len(start) == len(message)
    return line if is_whole else f"{line[:LONGEST_MESSAGE]} …"


def nearest_names(name: str, known: Iterable[str], count: int = 3) -> str:
    """Say which known names a misspelt one may have meant.

    Parameters
    ----------
    name : str
        The name that was not found.
    known : iterable of str
        The names that exist.
    count : int, optional
        How many suggestions at most.

    Returns
    -------
    str
        ``"; nearest: a, b"``, or an empty string if nothing is similar.

    Examples
    --------
    >>> nearest_names("CAM_cnv", ["CAM_conv", "prob"])
    '; nearest: CAM_conv'
    """
    matches = difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)
    return f"; nearest: {', '.join(matches)}" if matches else ""


def real_array(values: Any, what: str, *axes: int) -> NDArray[Any]:
    """Return real numbers as an array, or refuse what holds none.

    Parameters
    ----------
    values : object
        What was given: an array_like of integers, floating-point numbers or logical values.
    what : str
        What it should be, for the message.
    *axes : int
        How many axes it may have; any number if not given.

    Returns
    -------
    numpy.ndarray
        The argument itself where it is an array.

    Raises
    ------
    InvalidValueError
        If it holds something else than real numbers, or has another number of axes.

    Examples
    --------
    >>> real_array("cup", "a map")
    Traceback (most recent call last):
    cam.errors.InvalidValueError: a map is an array of real numbers, not str
    """
    import numpy as np

    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        given = f"an array of {values.dtype}" if hasattr(values, "dtype") else type(values).__name__
        raise InvalidValueError(f"{what} is an array of real numbers, not {given}")
    if axes and array.ndim not in axes:
        wanted = " or ".join(map(str, axes))
        raise InvalidValueError(f"{what} has {wanted} axes, not the shape {array.shape}")
    return array


def whole_number(value: Any, what: str, least: int, most: int) -> int:
    """Return a whole number between two, or refuse what is none.

    Parameters
    ----------
    value : object
        What was given; 8.0 is a whole number, too.
    what : str
        What it should be, for the message.
    least, most : int
        The smallest and the largest that is taken.

    Raises
    ------
    InvalidValueError
        If it is no number, not a whole one, or out of these bounds.

    Examples
    --------
    >>> whole_number(0, "a crop", 1, 256)
    Traceback (most recent call last):
    cam.errors.InvalidValueError: a crop is a whole number from 1 to 256, not 0
    """
    number: Any = value if isinstance(value, Real) else None
    # In this order nothing is converted that does not fit.
    if number is None or not least <= number <= most or int(number) != number:
        given = type(value).__name__ if number is None else str(number)[:40]
        raise InvalidValueError(f"{what} is a whole number from {least} to {most}, not {given}")
    return int(number)


def import_extra(module: str, advice: str) -> Any:
    """Import a module of a package that not every installation has.

    Parameters
    ----------
    module : str
        The module's full name.
    advice : str
        What needs it and how to get it; ``{error}`` in it stands for why it does not import.

    Returns
    -------
    module
        The module.

    Raises
    ------
    CamError
        With the advice, if it does not import.

    Examples
    --------
    >>> import_extra("no_such_module", "plots need it: pip install it")
    Traceback (most recent call last):
    cam.errors.CamError: plots need it: pip install it
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise CamError(advice.format(error=error)) from error
