from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from live_server import LiveServer, live_server

from cam.explain.model import CamModel


@pytest.fixture(scope="session")
def live(model: CamModel) -> Iterator[LiveServer]:
    """Return a server with the limits that it has if nothing is said."""
    with live_server(model) as server:
        yield server


@pytest.fixture
def client(live: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def photograph(coffee: Path) -> bytes:
    """Return the file of the photograph that comes with the project."""
    return coffee.read_bytes()
