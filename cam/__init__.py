"""Class activation mapping with the original Caffe networks.

A faithful reproduction of *Learning Deep Features for Discriminative Localization* (Zhou, Khosla,
Lapedriza, Oliva, Torralba, CVPR 2016).

>>> import cam
>>> model = cam.load("efficientnet-lite0")
>>> result = model.explain("photograph.jpg", top=5)  # doctest: +SKIP
>>> result.save("out")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cam.coloring import im2double, py_map2jpg
    from cam.errors import CamError
    from cam.explain import CamModel, load, load_files
    from cam.explanation import Explanation
    from cam.mapping import py_returnCAMmap

__all__ = [
    "CamError",
    "CamModel",
    "Explanation",
    "im2double",
    "load",
    "load_files",
    "py_map2jpg",
    "py_returnCAMmap",
]

_HOMES = {
    "CamError": "cam.errors",
    "CamModel": "cam.explain",
    "Explanation": "cam.explanation",
    "im2double": "cam.coloring",
    "load": "cam.explain",
    "load_files": "cam.explain",
    "py_map2jpg": "cam.coloring",
    "py_returnCAMmap": "cam.mapping",
}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `cam --help` does not wait for NumPy and OpenCV.
    if name not in _HOMES:
        raise AttributeError(f"module 'cam' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
