"""What ``import caffe`` means once `cam.pycaffe.install` has been called."""

from __future__ import annotations

import warnings
from typing import Any, NoReturn

from cam.caffe.layer_types import LAYER_TYPES
from cam.pycaffe import io
from cam.pycaffe.blob import Blob
from cam.pycaffe.classifier import Classifier
from cam.pycaffe.description import SOURCES
from cam.pycaffe.detector import Detector
from cam.pycaffe.errors import needs_caffe
from cam.pycaffe.fillers import set_random_seed
from cam.pycaffe.net import TEST, TRAIN, Net
from cam.pycaffe.net_spec import NetSpec, layers, params, to_proto

__all__ = [
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "Classifier",
    "Detector",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "get_solver",
    "has_nccl",
    "init_log",
    "io",
    "layer_type_list",
    "layers",
    "log",
    "params",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
    "to_proto",
]

__version__ = "1.0.0"
"""The version of the interface."""


def set_mode_cpu() -> None:
    """Do nothing: networks run on the CPU."""


def set_mode_gpu() -> None:
    """Say that networks run on the CPU all the same."""
    _on_the_cpu("set_mode_gpu()")


def set_device(device_id: int) -> None:
    """Say that networks run on the CPU all the same."""
    _on_the_cpu(f"set_device({device_id})")


def _on_the_cpu(call: str) -> None:
    warnings.warn(
        f"caffe.{call} changes nothing: without Caffe, networks run on the CPU", stacklevel=3
    )


def layer_type_list() -> list[str]:
    """Return the types of layers that networks may have; Data, too, although it only describes.

    A network with a Data layer is read and drawn, but needs Caffe itself to run.
    """
    return sorted({*LAYER_TYPES, *SOURCES, "Data"})


def init_log(*arguments: Any) -> None:
    """Do nothing: there is no log."""


def log(message: str) -> None:
    """Do nothing: there is no log."""


def has_nccl() -> bool:
    """Tell that there is no library for several GPUs."""
    return False


class _NeedsCaffe:
    """Something that only Caffe itself has; a class of it can be written, but not used."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        raise needs_caffe(f"caffe.{type(self).__name__}")


class Layer(_NeedsCaffe):
    """A layer in Python."""


class SGDSolver(_NeedsCaffe):
    """Training."""


class NesterovSolver(SGDSolver):
    """Training."""


class AdaGradSolver(SGDSolver):
    """Training."""


class RMSPropSolver(SGDSolver):
    """Training."""


class AdaDeltaSolver(SGDSolver):
    """Training."""


class AdamSolver(SGDSolver):
    """Training."""


class NCCL(_NeedsCaffe):
    """Several GPUs."""


def get_solver(filename: str) -> NoReturn:
    """Refuse: there is no training without Caffe."""
    raise needs_caffe("caffe.get_solver")
