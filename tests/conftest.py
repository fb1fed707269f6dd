from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from locations import REPOSITORY
from original_files import original_files

from cam.cli import main

collect_ignore = ["data"]
"""Scripts there are run by tests, not imported."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder with the original release's files; asking it for a missing one skips."""
    return original_files()


@pytest.fixture(scope="session")
def models() -> Path:
    """Return the checkout's folder with prototxts, class names and the embedded model."""
    return REPOSITORY / "models"


@pytest.fixture(scope="session")
def pycaffe() -> Any:
    """Return pycaffe, or skip; with ``CAM_REQUIRE_CAFFE=1`` in the environment, fail."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        import caffe
    except ImportError as error:
        if os.environ.get("CAM_REQUIRE_CAFFE") == "1":
            pytest.fail(f"CAM_REQUIRE_CAFFE is set, but pycaffe does not import: {error}")
        pytest.skip(f"pycaffe does not import here: {error}")
    caffe.set_mode_cpu()
    return caffe


@pytest.fixture(scope="session")
def coffee() -> Path:
    """Return the photograph that comes with the project."""
    return REPOSITORY / "cam" / "data" / "coffee.png"


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a command in an empty folder: (exit code, output, errors)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        output, errors = capsys.readouterr()
        return int(exit_.value.code or 0), output, errors

    return call
