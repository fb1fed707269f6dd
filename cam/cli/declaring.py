"""A command's options and arguments as the fields of a dataclass.

A command is a function of one dataclass; what the command line takes follows from the fields: the
names, the types, the defaults, the help. Groups of options that commands share are dataclasses to
inherit from.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import click

from cam.cli.signals import stoppable

Count = Annotated[int, click.IntRange(min=1)]
"""A number that is 1 or more."""

_KEY = "click"


def option(help_text: str, *names: str, default: Any = None, **settings: Any) -> Any:
    """Declare a field as an option.

    Parameters
    ----------
    help_text : str
        What it does.
    *names : str
        Its names, ``"-o"`` and ``"--output"`` for example; ``--`` and the field's name if none is
        given.
    default : optional
        Its value where it is not given.
    **settings
        Further settings of `click.Option`.

    Returns
    -------
    dataclasses.Field
        To be assigned to the field. ``bool`` makes a flag, a tuple an option that may be repeated,
        a ``Literal`` a choice, and an ``Annotated`` type is read as its click type says.
    """
    declared = {"names": names, "help": help_text, **settings}
    return dataclasses.field(default=default, kw_only=True, metadata={_KEY: declared})


def choice(help_text: str, words: Sequence[str], **settings: Any) -> Any:
    """Declare a field as an option that is one of some words; the first is the default."""
    return option(help_text, type=click.Choice(words), default=words[0], **settings)


def output_option(help_text: str, default: str | None = None, **settings: Any) -> Any:
    """Declare the field that says where results go."""
    folder = None if default is None else Path(default)
    return option(help_text, "-o", "--output", default=folder, **settings)


def argument(metavar: str, default: Any = dataclasses.MISSING, **settings: Any) -> Any:
    """Declare a field as a positional argument; a tuple takes any number, at least one."""
    declared = {"argument": True, "metavar": metavar, **settings}
    return dataclasses.field(default=default, kw_only=True, metadata={_KEY: declared})


def as_command(function: Callable[[Any], int | None]) -> click.Command:
    """Make a click command of a function that takes one dataclass, and returns an exit code.

    Its name is the function's, its help the function's docstring.
    """
    (parameter,) = inspect.signature(function).parameters
    request = get_type_hints(function)[parameter]

    def run(**values: Any) -> int | None:
        with stoppable():
            return function(request(**values))

    return click.Command(
        function.__name__.replace("_", "-"),
        callback=run,
        params=parameters_of(request),
        help=inspect.cleandoc(function.__doc__ or ""),
    )


def parameters_of(request: type) -> list[click.Parameter]:
    """Return the parameters of a command that takes this dataclass."""
    hints = get_type_hints(request, include_extras=True)
    return [_parameter(field, hints[field.name]) for field in dataclasses.fields(request)]


def _parameter(field: dataclasses.Field[Any], hint: Any) -> click.Parameter:
    declared = dict(field.metadata[_KEY])
    many, item = _item_type(hint)
    settings: dict[str, Any] = {"type": _click_type(item)}
    is_required = field.default is dataclasses.MISSING
    if not is_required:
        settings["default"] = field.default
    if declared.pop("argument", False):
        settings |= {"nargs": -1 if many else 1, "required": is_required}
        return click.Argument([field.name], **{**settings, **declared})
    names = names_of(field)
    del declared["names"]
    if item is bool:
        return click.Option([field.name, *names], is_flag=True, default=False, **declared)
    settings |= {"show_default": field.default not in (None, (), ""), "multiple": many, **declared}
    return click.Option([field.name, *names], **settings)


def names_of(field: dataclasses.Field[Any]) -> tuple[str, ...]:
    """Return the names of an option on the command line."""
    return field.metadata[_KEY]["names"] or (f"--{field.name.replace('_', '-')}",)


def _item_type(hint: Any) -> tuple[bool, Any]:
    """Return whether a field takes several values, and the type of one."""
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is tuple:
        return True, get_args(hint)[0]
    return False, hint


def _click_type(item: Any) -> Any:
    if item is Path:
        return click.Path(path_type=Path)
    if get_origin(item) is Annotated:
        return item.__metadata__[0]
    if get_origin(item) is Literal:
        return click.Choice(get_args(item))
    return item
