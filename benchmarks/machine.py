"""What the measurements were made on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from cam.fidelity.doctor import versions

__all__ = ["describe_machine", "installed_versions", "load_average", "processor_name"]

RIVAL_PACKAGES = ("torch", "torchcam", "grad-cam", "torchvision", "matplotlib", "pillow")


def describe_machine() -> dict[str, Any]:
    """Return the processor, its cores, the system and the BLAS libraries that are loaded."""
    from threadpoolctl import threadpool_info

    libraries = {
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', '')})"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "blas": sorted(libraries),
    }


def load_average() -> float | None:
    """Return how many processes wanted to run over the last minute, where the system says so."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def processor_name() -> str:
    """Return the processor's name."""
    table = Path("/proc/cpuinfo")
    if table.exists():
        for line in table.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def installed_versions() -> dict[str, str]:
    """Return the versions of the program, of Python and of all packages that take part."""
    found = versions()
    # The machine is described beside the versions.
    found.pop("platform", None)
    for package in RIVAL_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    try:
        import caffe
    except ImportError:
        found["caffe"] = "not installed"
    else:
        found["caffe"] = caffe.__version__
    return found
