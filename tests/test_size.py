"""Files, functions and rooms stay of a size that a reader can hold in mind."""

from __future__ import annotations

import pytest
from code_lines import code_lines, functions
from locations import REPOSITORY

PACKAGE = REPOSITORY / "cam"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_over_400_lines_of_code_and_no_function_over_40(name: str) -> None:
    source = (PACKAGE / name).read_text(encoding="utf-8")
    assert len(code_lines(source)) <= 400
    long = {function: count for function, count in functions(source).items() if count > 40}
    assert long == {}


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("__init__.py")])
def test_each_room_says_in_its_first_line_what_it_holds(name: str) -> None:
    first = (PACKAGE / name).read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith('"""')
    assert len(first) > 20
