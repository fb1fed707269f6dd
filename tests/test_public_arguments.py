"""Whatever a public function is given, it answers, or says in one line what is wrong."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from good_calls import NOT_CALLED, GoodCalls, public_names

from cam.errors import CamError

WRONG: dict[str, Any] = {
    "None": None,
    "text": "cup",
    "bytes": b"cup",
    "object": object(),
    "complex": 1j,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "very large": 2**70,
    "very small": -(2**70),
    "below zero": -1,
    "a thousand": 1000,
    "a fraction": 0.5,
    "empty list": [],
    "ragged list": [[1], [1, 2]],
    "mapping": {},
    "empty array": np.zeros(0),
    "array of no axes": np.array(1.0),
    "array of five axes": np.ones((1, 1, 1, 1, 1)),
    "empty picture": np.zeros((0, 4, 3), np.uint8),
    "array of NaN": np.full((4, 4), np.nan),
    "array of objects": np.array([object()], object),
    "array of text": np.array(["cup"]),
    "array of dates": np.array(["2016-06-27"], "M8[D]"),
    "array of complex": np.array([1j]),
    "folder": ".",
    "path with NUL": "a\0b",
    "path without UTF-8": "a\udcff",
    "path that cannot be": "a\ud800",
    "two lines": "a\nb",
    "missing file": "none/none.png",
}

TAKES_ANYTHING = {
    "cam.batch.run_batch": {"say"},
    "cam.batch.run_entries": {"say"},
}
"""Arguments of which nothing can be told before they are used."""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> GoodCalls:
    return GoodCalls(tmp_path_factory.mktemp("good"))


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    shutil.rmtree(tmp_path)


NAMES = [name for name in public_names() if name not in NOT_CALLED]


@pytest.mark.parametrize("name", NAMES)
def test_whatever_an_argument_is_it_is_taken_or_refused_in_one_line(
    calls: GoodCalls, name: str
) -> None:
    function, arguments = calls.all()[name]
    _outcome(function, arguments)
    assert _arguments_of(function) <= {*arguments, "options", "progress", "runner", "workers"}
    wrong = []
    for argument in arguments:
        for kind, value in WRONG.items():
            try:
                _outcome(function, {**arguments, argument: value})
            except (CamError, TypeError) as error:
                if len(str(error).splitlines()) != 1 or "ufunc" in str(error):
                    wrong.append(f"{argument}={kind}: {error!r}")
            except Exception as error:
                wrong.append(f"{argument}={kind}: {error!r}")
            else:
                if kind == "object" and argument not in TAKES_ANYTHING.get(name, ()):
                    wrong.append(f"{argument}={kind} is taken")
    assert wrong == []


def test_what_is_not_called_is_public() -> None:
    assert set(NOT_CALLED) <= set(public_names())


def _outcome(function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Call a function; what it gives one by one is taken to its end."""
    outcome = function(**arguments)
    if inspect.isgenerator(outcome):
        list(outcome)


def _arguments_of(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)
