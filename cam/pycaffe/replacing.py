"""Attributes of modules, replaced or added for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["replaced"]

_MISSING = object()


@contextmanager
def replaced(owner: Any, values: Mapping[str, Any], only_missing: bool = False) -> Iterator[None]:
    """Set attributes of a module or class, and set them back at the end.

    Parameters
    ----------
    owner : module or type
        Whose attributes.
    values : mapping of str to object
        Their values.
    only_missing : bool, optional
        Leave those that there are.

    Examples
    --------
    >>> import string
    >>> with replaced(string, {"letters": "abc"}):
    ...     string.letters
    'abc'
    >>> hasattr(string, "letters")
    False
    """
    own = vars(owner)
    before = {name: own.get(name, _MISSING) for name in values}
    if only_missing:
        before = {name: value for name, value in before.items() if value is _MISSING}
    for name in before:
        setattr(owner, name, values[name])
    try:
        yield
    finally:
        for name, value in before.items():
            if value is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
