from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from cam.arguments import checked
from cam.errors import InvalidValueError
from cam.files import PathLike


class Cup:
    pass


@checked
def given(
    number: int = 0,
    share: float | None = None,
    text: str = "",
    flag: bool = False,
    path: PathLike = "",
    array: NDArray[Any] | None = None,
    size: tuple[int, int] = (0, 0),
    names: Sequence[str] = (),
    cups: Iterable[Cup] = (),
    table: Mapping[str, int] | None = None,
    word: Literal["a", "b"] = "a",
) -> dict[str, Any]:
    return dict(locals())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("number", "8", r"given: number is a whole number, not '8'"),
        ("number", 8.5, r"not 8\.5"),
        ("number", 2**70, r"not 1180591620717411303424"),
        ("share", "half", r"share is a number or None, not 'half'"),
        ("share", 1j, r"not complex"),
        ("text", b"cup", r"text is a text, not bytes"),
        ("flag", "yes", r"flag is True or False, not 'yes'"),
        ("path", "a\0b", r"path is a path, not 'a\\x00b'"),
        ("path", "\ud800", r"path is a path"),
        ("path", b"cup", r"path is a path, not bytes"),
        ("array", "cup", r"array is an array of real numbers, not str"),
        ("array", np.array(["cup"]), r"not an array of <U3"),
        ("size", (1, 2, 3), r"size is 2 values, each a whole number, not tuple"),
        ("size", (1, "2"), r"not tuple"),
        ("names", "cup", r"names is several values, each a text, not 'cup'"),
        ("names", ["cup", 1], r"not list"),
        ("cups", [Cup(), "cup"], r"cups is several values, each a Cup"),
        ("table", [1], r"table is a mapping or None, not list"),
        ("word", 1, r"word is a text, not 1"),
    ],
)
def test_what_an_annotation_does_not_name_is_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        given(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", np.int32(8)),
        ("share", None),
        ("share", 1),
        ("share", np.float32(0.5)),
        ("flag", np.True_),
        ("path", Path("a")),
        ("path", "a\udcff"),
        ("array", None),
        ("size", (np.int64(1), 2)),
        ("names", ()),
        ("cups", iter([])),
    ],
)
def test_what_an_annotation_names_is_taken_as_it_is(name: str, value: Any) -> None:
    assert given(**{name: value})[name] is value


def test_what_is_as_good_comes_in_the_form_that_is_named() -> None:
    found = given(8.0, array=[[1, 2]], size=[3, 4])
    assert (found["number"], found["size"]) == (8, (3, 4))
    assert isinstance(found["number"], int)
    np.testing.assert_array_equal(found["array"], [[1, 2]])


def test_an_array_is_not_copied() -> None:
    array = np.ones(3)
    assert given(array=array)["array"] is array


def test_an_annotation_for_type_checkers_only_is_not_looked_at() -> None:
    def named(cup: Missing) -> Any:  # type: ignore[name-defined]  # noqa: F821
        return cup

    assert checked(named)(os) is os


def test_names_that_do_not_fit_the_signature_are_python_s_own_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        given(nothing=1)
