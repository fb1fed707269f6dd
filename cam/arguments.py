"""What public functions are given: each argument is held against its annotation.

A function under `checked` says in one line which argument is not what its signature names, before
anything is computed. Ranges and shapes are for the functions themselves.
"""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from itertools import islice
from numbers import Integral, Real
from typing import IO, Any, ForwardRef, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import numpy as np
from numpy.typing import ArrayLike

from cam.errors import InvalidValueError, real_array

Function = TypeVar("Function", bound=Callable[..., Any])

_MOST_CHECKED = 64
"""How many items of a sequence are looked at: a check takes no longer for a longer one."""

_LARGEST = 2**63
"""Whole numbers are below it, so that NumPy and OpenCV can hold them."""


class _Kind(NamedTuple):
    """What an annotation asks for: words for it, and whether a value is of it."""

    words: str
    fits: Callable[[Any], bool]


def checked(function: Function) -> Function:
    """Return a function that refuses arguments which its annotations do not name.

    What is as good reaches it in the form that it names: real numbers as an array, 8.0 as 8, any
    sequence as a tuple. An annotation that is known to type checkers only is not looked at.

    Raises
    ------
    InvalidValueError
        From the function that is returned: its name, the argument's, and what it should be.

    Examples
    --------
    >>> @checked
    ... def half(size: int) -> int:
    ...     return size // 2
    >>> half("cup")
    Traceback (most recent call last):
    cam.errors.InvalidValueError: half: size is a whole number, not 'cup'
    """
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    title = function.__qualname__.removesuffix(".__init__").replace("<locals>.", "")

    # Annotations are read at the first call: they may name what the module defines later.
    @cache
    def converters() -> dict[str, Callable[[Any], Any]]:
        return {
            name: _converter(hint, f"{title}: {name}")
            for name, text in function.__annotations__.items()
            if name != "return" and (hint := _resolved(text, function)) is not None
        }

    @wraps(function)
    def checking(*args: Any, **kwargs: Any) -> Any:
        known = converters()
        given = list(args)
        for place, name in enumerate(names[: len(args)]):
            if name in known:
                given[place] = known[name](args[place])
        for name in kwargs.keys() & known.keys():
            kwargs[name] = known[name](kwargs[name])
        return function(*given, **kwargs)

    return checking  # type: ignore[return-value]


def checked_fields(cls: type) -> Any:
    """Return a data class whose fields are held against their annotations, as by `checked`."""
    cls.__init__ = checked(cls.__init__)  # type: ignore[misc]
    return cls


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    """Return what an annotation stands for; None where it is for type checkers only."""
    try:
        return eval(annotation, function.__globals__) if isinstance(annotation, str) else annotation
    except NameError:
        return None


def _converter(hint: Any, label: str) -> Callable[[Any], Any]:
    """Return what gives an argument as the function takes it, or refuses it by this label."""
    kind, wanted = _kind(hint), _without_none(hint)
    origin = get_origin(wanted)

    def converted(value: Any) -> Any:
        if kind.fits(value):
            return tuple(value) if origin is tuple and value is not None else value
        if origin is np.ndarray:
            return real_array(value, label)
        if wanted is int and isinstance(value, float) and value.is_integer():
            return int(value) if _is_whole(int(value)) else refused(value)
        return refused(value)

    def refused(value: Any) -> Any:
        raise InvalidValueError(f"{label} is {kind.words}, not {_given(value)}")

    return converted


def _without_none(hint: Any) -> Any:
    """Return the one annotation that stands beside None, or the annotation itself."""
    rest = [one for one in get_args(hint) if one is not type(None)] if _is_union(hint) else []
    return rest[0] if len(rest) == 1 else hint


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _given(value: Any) -> str:
    """Return what was given in a few words: numbers and texts as such, all else by its type."""
    if isinstance(value, str):
        return ascii(value)[:80]
    return str(value)[:40] if isinstance(value, Real) else type(value).__name__


def _kind(hint: Any) -> _Kind:
    """Return what a resolved annotation asks for."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if _is_union(hint):
        return _any_of(get_args(hint))
    if isinstance(hint, ForwardRef):
        return _of_class_named(hint.__forward_arg__)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _PLAIN[str]
    if isinstance(origin, type):
        return _made_of(origin, inner)
    if getattr(hint, "_is_protocol", False):
        names = [name for name in vars(hint) if not name.startswith("_")]
        fits = lambda value: all(hasattr(value, name) for name in names)  # noqa: E731
        return _Kind(f"a {hint.__name__}", fits)
    if isinstance(hint, type):
        return _Kind(f"a {hint.__name__}", lambda value: isinstance(value, hint))
    return _ANYTHING


def _any_of(hints: Sequence[Any]) -> _Kind:
    # Where paths are taken, a text is one.
    has_paths = any(get_origin(one) is os.PathLike for one in hints)
    kinds = [_kind(one) for one in hints if not (has_paths and one is str)]
    words = " or ".join(dict.fromkeys(kind.words for kind in kinds))
    return _Kind(words, lambda value: any(kind.fits(value) for kind in kinds))


def _of_class_named(name: str) -> _Kind:
    """Return the kind of a class that may not have been imported, and then is of no value here."""
    return _Kind(f"a {name}", lambda value: name in [one.__name__ for one in type(value).__mro__])


def _made_of(origin: type, inner: Sequence[Any]) -> _Kind:
    """Return the kind of an annotation with others in its brackets."""
    if origin is np.ndarray:
        return _Kind("an array of real numbers", _is_real_array)
    if issubclass(origin, os.PathLike):
        return _Kind("a path", _is_path)
    if issubclass(origin, Mapping):
        return _Kind("a mapping", lambda value: isinstance(value, Mapping))
    if issubclass(origin, (Sequence, Iterable)) and inner:
        has_length = origin is tuple and Ellipsis not in inner
        return _many(_kind(inner[0]), len(inner) if has_length else None, origin)
    return _Kind("callable", callable)


def _many(item: _Kind, length: int | None, origin: type) -> _Kind:
    """Return the kind of a sequence, or of what can be gone through, whose items are of a kind."""
    counted = "several" if length is None else str(length)
    is_sequence = issubclass(origin, Sequence)

    def fits(value: Any) -> bool:
        if isinstance(value, np.ndarray):
            known = value.ndim > 0
        else:
            known = isinstance(value, (Sequence, set, frozenset)) and not isinstance(
                value, (str, bytes)
            )
        if not known:
            return not is_sequence and _is_iterator(value)
        items = islice(value, _MOST_CHECKED)
        return (length is None or len(value) == length) and all(map(item.fits, items))

    return _Kind(f"{counted} values, each {item.words}", fits)


def _is_iterator(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, np.ndarray))


def _is_real_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and abs(int(value)) < _LARGEST


def _is_path(value: Any) -> bool:
    """Tell whether the system can be asked for a file of this name."""
    try:
        name = os.fspath(value)
        return isinstance(name, str) and b"\0" not in os.fsencode(name)
    except (TypeError, UnicodeEncodeError):
        return False


def _is_flag(value: Any) -> bool:
    return isinstance(value, np.bool_) or (isinstance(value, Integral) and value in (0, 1))


def _is_file(value: Any) -> bool:
    return hasattr(value, "read") or hasattr(value, "write")


_ANYTHING = _Kind("anything", lambda value: True)

_PLAIN: Mapping[Any, _Kind] = {
    Any: _ANYTHING,
    object: _ANYTHING,
    ArrayLike: _ANYTHING,
    None: _Kind("None", lambda value: value is None),
    type(None): _Kind("None", lambda value: value is None),
    bool: _Kind("True or False", _is_flag),
    int: _Kind("a whole number", _is_whole),
    float: _Kind("a number", lambda value: isinstance(value, Real)),
    str: _Kind("a text", lambda value: isinstance(value, str)),
    bytes: _Kind("bytes", lambda value: isinstance(value, bytes)),
    IO[bytes]: _Kind("a binary file", _is_file),
}
