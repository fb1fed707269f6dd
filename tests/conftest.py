from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder with the original release's files, or skip."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the original release's files (../shared/data) are not here")
    return folder


@pytest.fixture(scope="session")
def coffee() -> Path:
    """Return the photograph that comes with the project."""
    return Path(__file__).resolve().parents[1] / "cam" / "data" / "coffee.png"
