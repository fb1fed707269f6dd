from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import browser as browsers
import pytest

import cam


@pytest.fixture(scope="session")
def model() -> cam.CamModel:
    return cam.load(engine="openvino")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a browser; of a module, since its loop of events would stop those of other tests."""
    with browsers.started() as started:
        yield started
