"""What the measurements were made on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from cam.fidelity.doctor import versions

__all__ = [
    "describe_machine",
    "installed_versions",
    "load_average",
    "machine_line",
    "processor_name",
    "vector_units",
]

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
        "processor": processor_class(),
        "vector_units": vector_units(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "blas": sorted(libraries),
    }


VECTOR_UNITS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512 BF16",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
    "bf16": "BF16",
    "sve": "SVE",
    "asimd": "NEON",
}
"""The units for many numbers at a time that make a difference, as the system names them."""


_FAMILY = {"family": "cpu family", "model": "model"}


def vector_units() -> list[str]:
    """Return which of `VECTOR_UNITS` the processor has, where the system says so."""
    flags = set(_said_of_processor("flags", "Features").split())
    return [name for flag, name in VECTOR_UNITS.items() if flag in flags]


def machine_line() -> str:
    """Return processor, vector units and number of processors in one line."""
    units = ", ".join(vector_units()) or "vector units not known"
    return f"{processor_name()} ({units}), {os.cpu_count()} processors"


def load_average() -> float | None:
    """Return how many processes wanted to run over the last minute, where the system says so."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def processor_name() -> str:
    """Return the processor's name."""
    return _said_of_processor("model name") or platform.processor() or platform.machine()


def processor_class() -> str:
    """Return the processor's name with its family and model, which cloud machines' names hide."""
    numbers = [(word, _said_of_processor(name)) for word, name in _FAMILY.items()]
    known = ", ".join(f"{word} {number}" for word, number in numbers if number)
    return f"{processor_name()} ({known})" if known else processor_name()


def _said_of_processor(*names: str) -> str:
    """Return what Linux says of the first processor under one of some names; empty elsewhere."""
    table = Path("/proc/cpuinfo")
    for line in table.read_text().splitlines() if table.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""


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
