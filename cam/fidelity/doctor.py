"""What works on this machine, and what is wrong with what does not."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib import metadata

import numpy as np

from cam import __version__, zoo
from cam.caffe.loaded import LoadedNetwork
from cam.engines import choose_engine, open_engine
from cam.errors import CamError
from cam.zoo.weights import check_weights

__all__ = ["Finding", "examine_choice", "examine_engines", "examine_models", "versions"]

PACKAGES = ("numpy", "opencv-python", "openvino", "onnx", "protobuf", "scipy", "click", "h5py")

CHOICES = ("openvino", "caffe:cpu", "caffe:gpu:0")
"""The engines and devices that are looked at."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        What it is.
    works : bool
        Whether it does.
    detail : str
        Where it is or what is wrong with it.
    """

    name: str
    works: bool
    detail: str


def versions() -> dict[str, str]:
    """Return the versions of the program, of Python and of the packages that it uses."""
    found = {"cam": __version__, "Python": sys.version.split()[0], "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def examine_engines() -> list[Finding]:
    """Run the embedded model on each engine.

    Returns
    -------
    list of Finding
        One for each engine and device; for those that do not work, the reason.
    """
    network = zoo.load_network()
    return [_examine_engine(choice, network) for choice in CHOICES]


def examine_choice() -> dict[str, str]:
    """Return what is taken where no engine is named, and why.

    Returns
    -------
    dict of str to str
        ``engine``, ``device`` (empty where the engine chooses) and ``reason``; where nothing can be
        taken, the reason alone.
    """
    try:
        chosen = choose_engine()
    except CamError as error:
        return {"engine": "", "device": "", "reason": str(error)}
    return {"engine": chosen.name, "device": chosen.device, "reason": chosen.reason}


def _examine_engine(choice: str, network: LoadedNetwork) -> Finding:
    try:
        engine = open_engine(choice, network)
        scores = engine.forward(np.zeros((1, *network.network.input_shape[1:]), np.float32)).scores
    except Exception as error:
        # A broken library raises anything; OpenVINO's messages go over several lines.
        message = " ".join(str(error).split()) or type(error).__name__
        is_expected = isinstance(error, (CamError, ImportError))
        return Finding(choice, False, message if is_expected else f"broken: {message}")
    sound = bool(np.isfinite(scores).all()) and abs(float(scores.sum()) - 1) < 1e-3
    detail = f"runs on {engine.device}" if sound else "its scores are not probabilities"
    return Finding(choice, sound, detail)


def examine_models() -> list[Finding]:
    """Check the weights of each model of the table.

    Returns
    -------
    list of Finding
        Where each model's weights are, or what is wrong with them.
    """
    return [_examine_model(model) for model in zoo.ZOO]


def _examine_model(model: zoo.ZooModel) -> Finding:
    try:
        return Finding(model.name, True, str(check_weights(zoo.find_weights(model), model).path))
    except CamError as error:
        return Finding(model.name, False, str(error))
