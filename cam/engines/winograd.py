"""3×3 convolutions by Winograd's algorithm, in a model that OpenVINO is to compile.

The outputs of a convolution are computed in square tiles of m×m, F(m×m, 3×3) in the words of
Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4.1. A tile's
inputs are transformed into (m + 2)² sums, each of these is multiplied by its own matrix of
transformed weights, and the products are transformed into the m² outputs. That is (m + 2)²
multiplications for a pair of channels in place of 9m²: a quarter for m = 4.

All of it is said in operations that the CPU plugin runs on data whose channels lie side by side,
as it keeps them around convolutions, so that nothing is transposed in memory. The first transform
is convolutions of each channel by itself with the tile's size as their stride, down and then
across; the products are 1×1 convolutions over the tiles of the whole batch; the last transform is
sums, of which the plugin makes one loop for each row and column of the tile.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.errors import InvalidValueError

Values = NDArray[np.float64]
Weights = NDArray[np.float32]

ENVIRONMENT_VARIABLE = "CAM_WINOGRAD"
"""Names the setting; ``auto`` if it is not given."""

SETTINGS = ("auto", "on", "off")
"""For many batches (`cam.engines.Engine.submit`), for all calls, and for none. A network in tiles
takes longer to load, which ten or more pictures make up for and a single one does not."""

_MACHINES = ("x86_64", "amd64")
"""What it was measured on; elsewhere OpenVINO computes convolutions in other ways."""


def chosen_setting() -> str:
    """Return which of `SETTINGS` holds, by ``CAM_WINOGRAD`` and the processor.

    Raises
    ------
    InvalidValueError
        If the variable has a value without a meaning.
    """
    setting = os.environ.get(ENVIRONMENT_VARIABLE) or SETTINGS[0]
    if setting not in SETTINGS:
        known = ", ".join(SETTINGS)
        raise InvalidValueError(f"{ENVIRONMENT_VARIABLE} is {setting!r}; it can be {known}")
    return setting if platform.machine().lower() in _MACHINES else "off"


@dataclass(frozen=True, eq=False)
class Transform:
    """What F(m, 3) does along one axis.

    Attributes
    ----------
    data : numpy.ndarray
        float64 (m + 2, m + 2): from a tile's inputs to the first factors, Bᵀ of the paper.
    weights : numpy.ndarray
        float64 (m + 2, 3): from a kernel to the second factors, G of the paper.
    outputs : numpy.ndarray
        float64 (m, m + 2): from the products to a tile's outputs, Aᵀ of the paper.
    """

    data: Values
    weights: Values
    outputs: Values


def transform(points: Sequence[float]) -> Transform:
    """Return the algorithm that multiplies polynomials at these points and at infinity.

    Parameters
    ----------
    points : sequence of float
        m + 1 different numbers, small ones for little rounding.

    Returns
    -------
    Transform
        F(m, 3), by the construction of Toom and Cook.

    Examples
    --------
    >>> transform([0, 1, -1]).data
    array([[-1.,  0.,  1.,  0.],
           [ 0.,  1.,  1.,  0.],
           [ 0., -1.,  1.,  0.],
           [ 0., -1.,  0.,  1.]])
    """
    size = len(points) - 1
    data = np.zeros((size + 2, size + 2))
    weights, outputs = np.zeros((size + 2, 3)), np.zeros((size, size + 2))
    for index, point in enumerate(points):
        others = np.array([other for other in points if other != point])
        data[index, :-1] = np.poly(others)[::-1]
        weights[index] = point ** np.arange(3) / np.prod(point - others)
        outputs[:, index] = point ** np.arange(size)
    data[-1] = np.poly(points)[::-1]
    weights[-1, -1] = outputs[-1, -1] = 1
    return Transform(data, weights, outputs)


TRANSFORMS = {2: transform([0, 1, -1]), 4: transform([0, 1, -1, 2, -2])}
"""By the size of the tiles."""

_UNIT = 1
"""Which of the points is 1: what is added to its product is added to all outputs of a tile."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """A 3×3 convolution, stride 1, padding 1, with the bias and the rectifier behind it.

    Attributes
    ----------
    data : openvino.Output
        Its input (N, C, H, W).
    weights : numpy.ndarray
        float32 (K, C / groups, 3, 3).
    groups : int
        How many groups of channels it has.
    bias : numpy.ndarray or None
        float32 (1, K, 1, 1).
    is_rectified : bool
        Whether negative outputs become 0.
    result : openvino.Output
        What comes out, (N, K, H, W).
    """

    data: Any
    weights: Weights
    groups: int
    bias: Weights | None
    is_rectified: bool
    result: Any


@dataclass(frozen=True)
class Cost:
    """What tiles of one size cost, in multiplications of the convolution computed directly.

    Attributes
    ----------
    product, weight, channel_in, channel_out, layer : float
        For each multiplication of a tile's factors; each transformed weight, which has to be read;
        each channel of a tile's inputs, and of its outputs; and for having these nodes at all.
    """

    product: float
    weight: float
    channel_in: float
    channel_out: float
    layer: float


COSTS = {
    2: Cost(product=1.3, weight=10, channel_in=530, channel_out=390, layer=6e5),
    4: Cost(product=1.3, weight=14, channel_in=2300, channel_out=1900, layer=6e6),
}
"""By the size of the tiles; fitted to 287 single layers of 32 to 1024 channels, 7×7 to 112×112, in
batches of 1 to 10, on one thread of a processor with AVX-512 (AMD EPYC, Zen 4 class)."""

WORTHWHILE = 0.85
"""The largest share of the direct convolution's time at which tiles are taken."""

Rule = Callable[[Convolution], int]
"""Says in tiles of what size a convolution is to be computed; 0 for directly."""


def fastest_tile(convolution: Convolution) -> int:
    """Return the size of the tiles that should take the least time, or 0 if none is worthwhile."""
    costs = {size: expected_time(convolution, size) for size in COSTS}
    best = min(costs, key=costs.__getitem__)
    return best if costs[best] <= WORTHWHILE else 0


def expected_time(convolution: Convolution, size: int) -> float:
    """Return the time that tiles should take, as a share of the direct convolution's time.

    Parameters
    ----------
    convolution : Convolution
        What is to be computed.
    size : int
        The tiles' size.

    Returns
    -------
    float
        By the table `COSTS`.
    """
    cost = COSTS[size]
    batch, channels_out, height, width = convolution.result.shape
    channels_in = convolution.data.shape[1]
    weights = convolution.weights.size // 9
    tiles = batch * -(-height // size) * -(-width // size)
    products = (size + 2) ** 2 * weights * (cost.product * tiles + cost.weight)
    transforms = tiles * (cost.channel_in * channels_in + cost.channel_out * channels_out)
    direct = 9 * batch * height * width * weights
    return float((products + transforms + cost.layer) / direct)


def use_winograd(model: Any, rule: Rule = fastest_tile) -> None:
    """Compute those 3×3 convolutions of a model by Winograd's algorithm that are faster so.

    Parameters
    ----------
    model : openvino.Model
        A float32 model whose shapes are all known. It is changed.
    rule : callable, optional
        Says which of them, and in tiles of what size.
    """
    for node in model.get_ordered_ops():
        convolution = _read(node)
        if convolution and (size := rule(convolution)):
            computed = _computed(convolution, size)
            for place in convolution.result.get_target_inputs():
                place.replace_source_output(computed)


_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_ONES = ("strides", "dilations", "pads_begin", "pads_end")
"""Those that are 1 in both directions where the output is as large as the input."""


def _read(node: Any) -> Convolution | None:
    """Return what a node is if it is a convolution that can be computed in tiles."""
    kind = node.get_type_name()
    weights = _constant(node.input_value(1)) if kind in _CONVOLUTIONS else None
    if weights is None or weights.shape[-2:] != (3, 3):
        return None
    settings = node.get_attributes()
    if any(list(settings[name]) != [1, 1] for name in _ONES):
        return None
    result, bias, is_rectified = node.output(0), None, False
    follower = _only_follower(result)
    if follower and follower.get_type_name() == "Add":
        bias = _constant(follower.input_value(1))
        if bias is not None:
            result = follower.output(0)
            follower = _only_follower(result)
    if follower and follower.get_type_name() == "Relu":
        result, is_rectified = follower.output(0), True
    return Convolution(
        data=node.input_value(0),
        weights=weights.reshape(-1, *weights.shape[-3:]),
        groups=len(weights) if kind == "GroupConvolution" else 1,
        bias=bias,
        is_rectified=is_rectified,
        result=result,
    )


def _constant(value: Any) -> Weights | None:
    """Return a constant, which may be given in another shape, or None if it is not one."""
    node = value.get_node()
    if node.get_type_name() == "Reshape":
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant":
        return None
    return np.array(node.get_data(), np.float32).reshape(list(value.get_shape()))


def _only_follower(value: Any) -> Any:
    """Return the node that uses a value, and not only its shape; None if several do."""
    nodes = [place.get_node() for place in value.get_target_inputs()]
    users = [node for node in nodes if node.get_type_name() != "ShapeOf"]
    return users[0] if len(users) == 1 else None


_DOWN, _ACROSS = 0, 1


def _computed(convolution: Convolution, size: int) -> Any:
    """Add the nodes that compute a convolution in tiles and return their output."""
    algorithm = TRANSFORMS[size]
    weights = np.einsum(
        "kcyx,iy,jx->ijkc", convolution.weights, *[algorithm.weights] * 2, optimize=True
    )
    products = np.empty(weights.shape[:2], object)
    for i, down in enumerate(algorithm.data):
        strips = _transformed(convolution.data, down, _DOWN)
        for j, across in enumerate(algorithm.data):
            bias = convolution.bias if i == j == _UNIT else None
            factors = _transformed(strips, across, _ACROSS)
            products[i, j] = _product(factors, weights[i, j], convolution.groups, bias)
    columns = [_combined(algorithm.outputs, column) for column in products.T]
    rows = [_combined(algorithm.outputs, row) for row in zip(*columns, strict=True)]
    return _image(rows, convolution)


def _transformed(data: Any, row: Values, axis: int) -> Any:
    """Return the weighted sum of each tile's inputs along one axis, channel by channel."""
    from openvino import opset13 as nodes

    first, last = np.flatnonzero(row)[[0, -1]]
    kernel = row[first : last + 1].astype(np.float32)
    channels, length = data.shape[1], data.shape[2 + axis]
    size = len(row) - 2
    count = -(-length // size)
    shape, strides, begins, ends = [1, 1], [1, 1], [0, 0], [0, 0]
    shape[axis], strides[axis] = len(kernel), size
    # The first tile begins one before the data, in the padding of the convolution.
    begins[axis], ends[axis] = 1 - first, (count - 1) * size + last - length
    filters = np.tile(kernel.reshape(shape), (channels, 1, 1, 1, 1))
    return nodes.group_convolution(data, filters, strides, begins, ends, [1, 1]).output(0)


def _product(factors: Any, weights: Values, groups: int, bias: Weights | None) -> Any:
    """Return all tiles' products with one matrix: (1, K, tiles, 1) of factors (N, C, h, w)."""
    from openvino import opset13 as nodes

    batch, channels, height, width = factors.shape
    rows = _reshaped(_channels_last(factors), [1, batch * height * width, 1, channels])
    filters = weights.astype(np.float32).reshape(groups, -1, channels // groups, 1, 1)
    product = nodes.group_convolution(
        _channels_first(rows), filters, [1, 1], [0, 0], [0, 0], [1, 1]
    )
    return (product if bias is None else nodes.add(product, bias)).output(0)


def _combined(rows: Values, values: Sequence[Any]) -> list[Any]:
    """Return the weighted sums of values, one for each row of a matrix."""
    from openvino import opset13 as nodes

    sums = []
    for row in rows:
        terms = [
            value if weight == 1 else nodes.multiply(value, np.float32(weight))
            for weight, value in zip(row, values, strict=True)
            if weight
        ]
        sums.append(reduce(nodes.add, terms))
    return sums


def _image(rows: Sequence[Sequence[Any]], convolution: Convolution) -> Any:
    """Put the tiles' outputs, each (1, K, tiles, 1), where they belong in (N, K, H, W)."""
    from openvino import opset13 as nodes

    batch, channels, height, width = convolution.result.shape
    size = len(rows)
    down, across = -(-height // size), -(-width // size)
    lines = []
    for row in rows:
        outputs = [nodes.relu(one) for one in row] if convolution.is_rectified else row
        shape = [batch, down, across, 1, channels]
        parts = [_reshaped(_channels_last(one), shape) for one in outputs]
        line = _reshaped(nodes.concat(parts, 3), [batch, down, 1, across * size, channels])
        lines.append(_cut(line, 3, width))
    image = _reshaped(nodes.concat(lines, 2), [batch, down * size, width, channels])
    return _channels_first(_cut(image, 1, height)).output(0)


def _channels_last(value: Any) -> Any:
    from openvino import opset13 as nodes

    return nodes.transpose(value, np.array([0, 2, 3, 1]))


def _channels_first(value: Any) -> Any:
    from openvino import opset13 as nodes

    return nodes.transpose(value, np.array([0, 3, 1, 2]))


def _reshaped(value: Any, shape: Sequence[int]) -> Any:
    from openvino import opset13 as nodes

    return nodes.reshape(value, np.array(shape), False)


def _cut(value: Any, axis: int, length: int) -> Any:
    from openvino import opset13 as nodes

    if value.shape[axis] == length:
        return value
    return nodes.slice(value, np.array([0]), np.array([length]), np.array([1]), np.array([axis]))
