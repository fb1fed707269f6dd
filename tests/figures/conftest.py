from __future__ import annotations

from pathlib import Path

import pytest

import cam
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel


@pytest.fixture(scope="session")
def model() -> CamModel:
    return cam.load(engine="openvino")


@pytest.fixture(scope="session")
def top(model: CamModel, coffee: Path) -> Explanation:
    return model.explain(coffee)


@pytest.fixture(scope="session")
def espresso(model: CamModel, top: Explanation) -> Explanation:
    return top.of_class(967)
