from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

import pytest


@pytest.fixture(scope="session")
def project_caffe(pycaffe: Any) -> Any:
    """Return pycaffe if it is what docker/build_caffe.sh builds, or skip."""
    try:
        installer = distribution("caffe").read_text("INSTALLER") or ""
    except PackageNotFoundError:
        installer = ""
    if installer.strip() != "build_caffe.sh":
        pytest.skip("this Caffe was not built by docker/build_caffe.sh")
    return pycaffe
