"""pycaffe's interface without Caffe, and scripts of its time.

Nothing here is found by ``import caffe`` unless `install` has been called, so that a pycaffe that
is installed stays what it is.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

__all__ = ["install", "modules"]

_MODULES = {
    "caffe": "interface",
    "caffe.classifier": "classifier",
    "caffe.coord_map": "coord_map",
    "caffe.detector": "detector",
    "caffe.draw": "draw",
    "caffe.io": "io",
    "caffe.net_spec": "net_spec",
    "caffe.proto.caffe_pb2": "caffe_pb2",
    "caffe.pycaffe": "net",
}
"""The module that answers for each name."""


def modules() -> dict[str, ModuleType]:
    """Return the modules that stand for pycaffe's, by pycaffe's names."""
    found = {name: import_module(f"cam.pycaffe.{own}") for name, own in _MODULES.items()}
    proto = ModuleType("caffe.proto", "Caffe's messages.")
    proto.caffe_pb2 = found["caffe.proto.caffe_pb2"]  # type: ignore[attr-defined]
    interface = found["caffe"]
    for name, module in found.items():
        if name.count(".") == 1:
            setattr(interface, name.partition(".")[2], module)
    interface.proto = proto  # type: ignore[attr-defined]
    return {**found, "caffe.proto": proto}


def install() -> ModuleType:
    """Let ``import caffe`` mean this module, in this process.

    Returns
    -------
    module
        What ``import caffe`` gives from now on.

    Examples
    --------
    >>> import cam.pycaffe
    >>> caffe = cam.pycaffe.install()  # doctest: +SKIP
    """
    sys.modules.update(modules())
    return sys.modules["caffe"]
