"""Class activation mapping with the original Caffe networks.

A faithful reproduction of *Learning Deep Features for Discriminative Localization* (Zhou, Khosla,
Lapedriza, Oliva, Torralba, CVPR 2016).

>>> import cam
>>> model = cam.load("efficientnet-lite0")
>>> result = model.explain("photograph.jpg", top=5)  # doctest: +SKIP
>>> result.save("out")  # doctest: +SKIP
"""

from __future__ import annotations

# The module `typing` alone takes longer to import than all that stands here.
TYPE_CHECKING = False

__version__ = "0.1.0"

if TYPE_CHECKING:
    from typing import Any

    from cam.caffe.preprocessing import Preprocessing
    from cam.errors import CamError
    from cam.explain.drawing import Drawing
    from cam.explain.explanation import Explanation
    from cam.explain.grid import Grid
    from cam.explain.model import CamModel, load, load_files
    from cam.maps.activation_maps import py_returnCAMmap
    from cam.maps.colors import im2double, py_map2jpg

__all__ = [
    "CamError",
    "CamModel",
    "Drawing",
    "Explanation",
    "Grid",
    "Preprocessing",
    "im2double",
    "load",
    "load_files",
    "py_map2jpg",
    "py_returnCAMmap",
]

_HOMES = {
    "CamError": "cam.errors",
    "CamModel": "cam.explain.model",
    "Drawing": "cam.explain.drawing",
    "Explanation": "cam.explain.explanation",
    "Grid": "cam.explain.grid",
    "Preprocessing": "cam.caffe.preprocessing",
    "im2double": "cam.maps.colors",
    "load": "cam.explain.model",
    "load_files": "cam.explain.model",
    "py_map2jpg": "cam.maps.colors",
    "py_returnCAMmap": "cam.maps.activation_maps",
}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `cam --help` does not wait for NumPy and OpenCV.
    if name not in _HOMES:
        raise AttributeError(f"module 'cam' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
