"""The numbers that a network's weights and made-up data begin with: Caffe's fillers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.caffe.layers import Layer, Shape
from cam.errors import CamError, nearest_names
from cam.pycaffe.blob import Array

__all__ = ["filled", "initial_weights", "set_random_seed"]

_generator = np.random.default_rng()

_FILLERS_OF: Mapping[str, tuple[str, tuple[tuple[str, float], ...]]] = {
    "Bias": ("bias_param", (("filler", 0),)),
    "Convolution": ("convolution_param", (("weight_filler", 0), ("bias_filler", 0))),
    "Deconvolution": ("convolution_param", (("weight_filler", 0), ("bias_filler", 0))),
    "InnerProduct": ("inner_product_param", (("weight_filler", 0), ("bias_filler", 0))),
    "PReLU": ("prelu_param", (("filler", 0.25),)),
    "Scale": ("scale_param", (("filler", 1), ("bias_filler", 0))),
}
"""The field with a layer's fillers, and for each blob its filler and the number without one."""


def set_random_seed(seed: int) -> None:
    """Let the fillers draw the same numbers again; they are not the numbers that Caffe draws.

    Parameters
    ----------
    seed : int
        Any number that is not negative.
    """
    _generator.bit_generator.state = np.random.default_rng(int(seed)).bit_generator.state


def initial_weights(layer: Layer, shapes: tuple[Shape, ...]) -> tuple[Array, ...]:
    """Return what the weights of a layer are before any are loaded.

    Parameters
    ----------
    layer : Layer
        A layer with weights.
    shapes : tuple of tuple of int
        The shape of each of its blobs.

    Returns
    -------
    tuple of numpy.ndarray
        float32, as the layer's fillers say; zeros for the statistics of a BatchNorm.
    """
    field, fillers = _FILLERS_OF.get(layer.type, ("", ()))
    if not field:
        return tuple(np.zeros(shape, np.float32) for shape in shapes)
    param = getattr(layer.message, field)
    return tuple(
        filled(getattr(param, name), shape, str(layer))
        if param.HasField(name)
        else np.full(shape, default, np.float32)
        for (name, default), shape in zip(fillers, shapes, strict=False)
    )


def filled(filler: Any, shape: Shape, where: str) -> Array:
    """Return an array as a filler fills it.

    Parameters
    ----------
    filler : protobuf message
        A ``FillerParameter``.
    shape : tuple of int
        The shape.
    where : str
        What it is for, for messages.

    Raises
    ------
    CamError
        If there is no such filler, or it does not fit the shape.

    Examples
    --------
    >>> from cam.caffe.schema import message_class
    >>> filler = message_class("FillerParameter")(type="constant", value=2)
    >>> filled(filler, (1, 3), "an example")
    array([[2., 2., 2.]], dtype=float32)
    """
    if filler.type not in _FILLERS:
        raise CamError(
            f"{where}: no filler {filler.type!r}{nearest_names(filler.type, _FILLERS)}; "
            f"there are {', '.join(_FILLERS)}"
        )
    try:
        return _FILLERS[filler.type](filler, shape).astype(np.float32)
    except (ValueError, IndexError) as error:
        raise CamError(
            f"{where}: its filler {filler.type!r} does not fit the shape {shape} ({error})"
        ) from error


def _fan(filler: Any, shape: Shape) -> float:
    """Return what the spread of the numbers is divided by."""
    inputs, outputs = math.prod(shape[1:]), math.prod(shape[:1] + shape[2:])
    norm = filler.VarianceNorm.Name(filler.variance_norm)
    return {"FAN_IN": inputs, "FAN_OUT": outputs, "AVERAGE": (inputs + outputs) / 2}[norm]


def _constant(filler: Any, shape: Shape) -> NDArray[Any]:
    return np.full(shape, filler.value)


def _uniform(filler: Any, shape: Shape) -> NDArray[Any]:
    return _generator.uniform(filler.min, filler.max, shape)


def _gaussian(filler: Any, shape: Shape) -> NDArray[Any]:
    drawn: NDArray[Any] = _generator.normal(filler.mean, filler.std, shape)
    if filler.sparse >= 0:
        # Of each output's inputs about this many are not zero.
        drawn *= _generator.random(shape) < filler.sparse / shape[0]
    return drawn


def _xavier(filler: Any, shape: Shape) -> NDArray[Any]:
    limit = math.sqrt(3 / _fan(filler, shape))
    return _generator.uniform(-limit, limit, shape)


def _msra(filler: Any, shape: Shape) -> NDArray[Any]:
    return _generator.normal(0, math.sqrt(2 / _fan(filler, shape)), shape)


def _positive_unitball(filler: Any, shape: Shape) -> NDArray[Any]:
    drawn = _generator.random((shape[0], math.prod(shape[1:])))
    drawn /= drawn.sum(axis=1, keepdims=True)
    return drawn.reshape(shape)


def _bilinear(filler: Any, shape: Shape) -> NDArray[Any]:
    side = shape[-1]
    if len(shape) != len("NCHW") or shape[-2] != side:
        raise ValueError("it takes square kernels")
    factor = math.ceil(side / 2)
    center = (2 * factor - 1 - factor % 2) / (2 * factor)
    slope = 1 - np.abs(np.arange(side) / factor - center)
    return np.broadcast_to(np.outer(slope, slope), shape)


_FILLERS: Mapping[str, Callable[[Any, Shape], NDArray[Any]]] = {
    "bilinear": _bilinear,
    "constant": _constant,
    "gaussian": _gaussian,
    "msra": _msra,
    "positive_unitball": _positive_unitball,
    "uniform": _uniform,
    "xavier": _xavier,
}
