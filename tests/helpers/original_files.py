"""The original release's files: beside the checkout, or as `cam fetch-demo` gets them."""

from __future__ import annotations

import os
from pathlib import Path, PosixPath

import pytest
from locations import SHARED

from cam.fidelity.demo_files import DEMO_FILES, demo_folder


class OriginalFiles(PosixPath):
    """A folder of the original release's files; a test that asks for a missing one is skipped."""

    def __truediv__(self, name: str | os.PathLike[str]) -> Path:
        path = Path(self, name)
        if not path.exists():
            how = "cam fetch-demo gets it" if name in DEMO_FILES else "cam fetch-demo has it not"
            pytest.skip(f"the original release's file {name} is not here: {how}")
        return path


def original_files() -> OriginalFiles:
    """Return the folder beside the checkout or, without one, that of the fetched files."""
    beside = SHARED / "data"
    return OriginalFiles(beside if beside.is_dir() else demo_folder())
