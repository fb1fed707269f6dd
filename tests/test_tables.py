"""Each entry of a table has its other half: what adding one would forget."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
import reference
from locations import REPOSITORY

from cam import zoo
from cam.caffe.layer_types import LAYER_TYPES
from cam.cli import COMMANDS
from cam.engines import ENGINES
from cam.engines.protocol import FLOAT32
from cam.explain.styles import STYLES, get_style
from cam.figures.types import FIGURES

SECURITY = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
LIMITS = re.findall(r"\| ([0-9,]+)[ a-z]* \| `(cam[\w.]+)` \|", SECURITY)
COMMANDS_PAGE = (REPOSITORY / "docs" / "commands.md").read_text(encoding="utf-8")
"""The one table of all commands; README says where it is."""


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit[1])
def test_each_limit_of_the_security_page_is_the_code_s(limit: tuple[str, str]) -> None:
    number, name = limit
    module, constant = name.rsplit(".", 1)
    assert getattr(import_module(module), constant) == int(number.replace(",", ""))


def test_each_limit_has_a_row_in_the_security_page() -> None:
    assert len(LIMITS) == SECURITY.count("\n| ") - 2 >= 20


@pytest.mark.parametrize("name", LAYER_TYPES)
def test_each_layer_type_has_a_numpy_reference(name: str) -> None:
    assert name in reference.FUNCTIONS


@pytest.mark.parametrize("name", LAYER_TYPES)
def test_each_layer_type_is_tried_alone(name: str) -> None:
    tests = (REPOSITORY / "tests" / "engines").glob("test_onnx_*.py")
    assert any(f'"{name}"' in file.read_text(encoding="utf-8") for file in tests)


@pytest.mark.parametrize("model", zoo.ZOO, ids=lambda model: model.name)
def test_each_model_stands_on_the_page_of_models_and_on_that_of_files(model: zoo.ZooModel) -> None:
    page = (REPOSITORY / "models" / "README.md").read_text(encoding="utf-8")
    models = (REPOSITORY / "docs" / "models.md").read_text(encoding="utf-8")
    assert f"| `{model.name}` |" in models
    assert f"`{model.prototxt}`" in page
    assert f"`{model.caffemodel}`" in page
    assert (REPOSITORY / "models" / model.prototxt).is_file()


@pytest.mark.parametrize("name", ENGINES)
def test_each_engine_says_what_opening_asks_for(name: str) -> None:
    module = import_module(ENGINES[name])
    assert callable(module.start)
    assert callable(module.obstacle)
    assert FLOAT32 in module.PRECISIONS
    assert isinstance(module.RUNS_BACKWARD, bool)
    assert f"`{name}`" in (REPOSITORY / "docs" / "method.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", STYLES)
def test_each_style_has_its_own_name_and_a_column_in_the_method_page(name: str) -> None:
    assert get_style(name).name == name
    assert f"`{name}`" in (REPOSITORY / "docs" / "method.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_line_of_help_and_stands_on_the_page_of_commands(name: str) -> None:
    assert COMMANDS[name].endswith(".")
    assert f"`cam {name}`" in COMMANDS_PAGE


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_has_a_line_in_the_page_on_reproducing(name: str) -> None:
    page = (REPOSITORY / "docs" / "reproduce.md").read_text(encoding="utf-8")
    assert f"cam figure {name}" in page
