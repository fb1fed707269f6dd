"""The errors that a user can cause, each one clear line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module
from typing import Any


class CamError(Exception):
    """Bad input: the message says what is wrong, where, and what to do about it.

    The command line prints the message as one line and exits with code 2.
    """


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
