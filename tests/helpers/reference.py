"""An independent forward pass of Caffe networks in plain NumPy, for the tests to compare with.

It follows what Caffe's documentation and layer headers say about each layer type, one output at a
time where that is the plainest way, and sums in double precision. It knows nothing of the project:
it reads protobuf messages by their fields and takes weights as arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, Sequence[NDArray[Any]]]
LayerFunction = Callable[[Any, list[Array], list[Array]], "Array | list[Array]"]


def forward(
    layers: Iterable[Any], inputs: Mapping[str, NDArray[Any]], weights: Weights
) -> dict[str, Array]:
    """Return every blob of a network after all of its layers have run, in double precision.

    Parameters
    ----------
    layers : iterable of LayerParameter
        The layers in their order.
    inputs : mapping of str to numpy.ndarray
        The input blobs by name.
    weights : mapping of str to sequence of numpy.ndarray
        Each layer's blobs by the layer's name.
    """
    blobs = {name: np.asarray(values, np.float64) for name, values in inputs.items()}
    for layer in layers:
        if layer.type == "Input":
            continue
        bottoms = [blobs[name] for name in layer.bottom]
        params = [np.asarray(w, np.float64) for w in weights.get(layer.name, ())]
        result = FUNCTIONS[layer.type](layer, bottoms, params)
        # Only a Slice gives its tops different values.
        results = result if isinstance(result, list) else [result] * len(layer.top)
        blobs.update(zip(layer.top, results, strict=True))
    return blobs


def _pair(param: Any, name: str, sides: tuple[str, str], default: int) -> tuple[int, int]:
    if param.HasField(sides[0]):
        return getattr(param, sides[0]), getattr(param, sides[1])
    value = getattr(param, name)
    values = [value] if isinstance(value, int) else list(value)
    if not values:
        return default, default
    return values[0], values[-1]


def convolution(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Sum over the kernel's positions of each group's weights times the shifted picture."""
    param, (x,) = layer.convolution_param, bottoms
    stride = _pair(param, "stride", ("stride_h", "stride_w"), 1)
    pad = _pair(param, "pad", ("pad_h", "pad_w"), 0)
    step = (param.dilation[0], param.dilation[-1]) if param.dilation else (1, 1)
    kernels = params[0]
    rows, columns = (
        (x.shape[2 + i] + 2 * pad[i] - step[i] * (kernels.shape[2 + i] - 1) - 1) // stride[i] + 1
        for i in (0, 1)
    )
    padded = np.pad(x, ((0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2))
    groups = param.group
    inputs, outputs = x.shape[1] // groups, kernels.shape[0] // groups
    result = np.zeros((x.shape[0], kernels.shape[0], rows, columns))
    for n, g in np.ndindex(x.shape[0], groups):
        total = np.zeros((outputs, rows * columns))
        picture = padded[n, g * inputs : (g + 1) * inputs]
        for i, j in np.ndindex(kernels.shape[2], kernels.shape[3]):
            top, left = i * step[0], j * step[1]
            seen = picture[
                :,
                top : top + (rows - 1) * stride[0] + 1 : stride[0],
                left : left + (columns - 1) * stride[1] + 1 : stride[1],
            ]
            weights = kernels[g * outputs : (g + 1) * outputs, :, i, j]
            total += weights @ seen.reshape(inputs, -1)
        result[n, g * outputs : (g + 1) * outputs] = total.reshape(outputs, rows, columns)
    if param.bias_term:
        result += params[1].reshape(1, -1, 1, 1)
    return result


def pooling(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Pool window by window.

    The number of windows is rounded up; with any padding, the last window of an axis is left out
    if it would begin behind the picture and its leading padding. A window's average divides by its
    size cut to the padded picture, while its maximum looks at the picture only.
    """
    param, (x,) = layer.pooling_param, bottoms
    height, width = x.shape[2:]
    if param.global_pooling:
        kernel = (height, width)
    else:
        kernel = _pair(param, "kernel_size", ("kernel_h", "kernel_w"), 0)
    stride = _pair(param, "stride", ("stride_h", "stride_w"), 1)
    pad = _pair(param, "pad", ("pad_h", "pad_w"), 0)
    to_integer = (math.ceil, math.floor)[param.round_mode]
    counts = [to_integer((x.shape[2 + i] + 2 * pad[i] - kernel[i]) / stride[i]) + 1 for i in (0, 1)]
    if any(pad):
        for i in (0, 1):
            if (counts[i] - 1) * stride[i] >= x.shape[2 + i] + pad[i]:
                counts[i] -= 1
    result = np.zeros((*x.shape[:2], *counts))
    for row, column in np.ndindex(*counts):
        top, left = row * stride[0] - pad[0], column * stride[1] - pad[1]
        bottom = min(top + kernel[0], height + pad[0])
        right = min(left + kernel[1], width + pad[1])
        window = x[:, :, max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        if param.pool == 0:
            lowest = -float(np.finfo(np.float32).max)
            result[:, :, row, column] = window.max(axis=(2, 3), initial=lowest)
        else:
            result[:, :, row, column] = window.sum(axis=(2, 3)) / ((bottom - top) * (right - left))
    return result


def lrn(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Divide by (k + alpha / n · sum of the squares of the n channels around)^beta."""
    param, (x,) = layer.lrn_param, bottoms
    before = (param.local_size - 1) // 2
    squares = np.pad(x**2, ((0, 0), (before, before), (0, 0), (0, 0)))
    sums = sum(squares[:, i : i + x.shape[1]] for i in range(param.local_size))
    return np.asarray(x / (param.k + param.alpha / param.local_size * sums) ** param.beta)


def lrn_of_either_kind(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Across channels as `lrn`; within one, divide by (1 + alpha · mean square around)^beta."""
    param, (x,) = layer.lrn_param, bottoms
    if param.norm_region == 0:
        return lrn(layer, bottoms, params)
    size, around = param.local_size, param.local_size // 2
    squares = np.pad(x**2, ((0, 0), (0, 0), (around, around), (around, around)))
    means = np.zeros_like(x)
    for i, j in np.ndindex(size, size):
        means += squares[:, :, i : i + x.shape[2], j : j + x.shape[3]] / size**2
    return np.asarray(x / (1 + param.alpha * means) ** param.beta)


def deconvolution(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Lay each pixel's multiple of the kernel where its stride puts it, and cut the pad off."""
    param, (x,) = layer.convolution_param, bottoms
    stride = _pair(param, "stride", ("stride_h", "stride_w"), 1)
    pad = _pair(param, "pad", ("pad_h", "pad_w"), 0)
    step = (param.dilation[0], param.dilation[-1]) if param.dilation else (1, 1)
    kernels = params[0]
    rows, columns = (
        stride[i] * (x.shape[2 + i] - 1) + step[i] * (kernels.shape[2 + i] - 1) + 1 for i in (0, 1)
    )
    result = np.zeros((x.shape[0], param.num_output, rows, columns))
    inputs, outputs = x.shape[1] // param.group, param.num_output // param.group
    for n, c, y, z in np.ndindex(*x.shape):
        first = c // inputs * outputs
        for i, j in np.ndindex(kernels.shape[2], kernels.shape[3]):
            row, column = y * stride[0] + i * step[0], z * stride[1] + j * step[1]
            result[n, first : first + outputs, row, column] += x[n, c, y, z] * kernels[c, :, i, j]
    result = result[:, :, pad[0] : rows - pad[0], pad[1] : columns - pad[1]]
    return result + params[1].reshape(1, -1, 1, 1) if param.bias_term else result


def inner_product(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Multiply the axes from 1 on, flattened, with the weights."""
    param, (x,) = layer.inner_product_param, bottoms
    flat = x.reshape(*x.shape[: param.axis], -1)
    result = flat @ (params[0] if param.transpose else params[0].T)
    return np.asarray(result + params[1] if param.bias_term else result)


def softmax(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Exponentials of what is above the maximum, divided by their sum."""
    (x,), axis = bottoms, layer.softmax_param.axis
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=axis, keepdims=True))


def eltwise(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Product, weighted sum or maximum of the bottoms."""
    param = layer.eltwise_param
    result = bottoms[0]
    if param.operation == 0:
        for other in bottoms[1:]:
            result = result * other
    elif param.operation == 1:
        coefficients = list(param.coeff) or [1.0] * len(bottoms)
        result = np.zeros_like(bottoms[0])
        for factor, bottom in zip(coefficients, bottoms, strict=True):
            result = result + factor * bottom
    else:
        for other in bottoms[1:]:
            result = np.maximum(result, other)
    return result


def batch_norm(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Normalise with the stored sums of means and variances, each divided by the stored factor."""
    (x,), (means, variances, factor) = bottoms, params
    scale = 0.0 if factor.item() == 0 else 1 / factor.item()
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, variance = (means * scale).reshape(shape), (variances * scale).reshape(shape)
    return np.asarray((x - mean) / np.sqrt(variance + layer.batch_norm_param.eps))


def _aligned(values: Array, axis: int, dimensions: int) -> Array:
    first = axis if axis >= 0 else dimensions + axis
    behind = dimensions - first - values.ndim
    return values.reshape((1,) * first + values.shape + (1,) * behind)


def scale(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Multiply with a blob that begins at an axis, and add another."""
    param, (x,) = layer.scale_param, bottoms
    result = x * _aligned(params[0], param.axis, x.ndim)
    return result + _aligned(params[1], param.axis, x.ndim) if param.bias_term else result


def bias(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Add a blob that begins at an axis."""
    return bottoms[0] + _aligned(params[0], layer.bias_param.axis, bottoms[0].ndim)


def prelu(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Multiply what is negative with its channel's slope."""
    (x,), slopes = bottoms, params[0].reshape(-1)
    shape = (1, slopes.size) + (1,) * (x.ndim - 2)
    return np.asarray(np.maximum(x, 0) + slopes.reshape(shape) * np.minimum(x, 0))


def relu(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Multiply what is negative with the slope, zero by default."""
    slope: float = layer.relu_param.negative_slope
    return np.maximum(bottoms[0], 0) + slope * np.minimum(bottoms[0], 0)


def elu(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Take alpha (exp(x) - 1) where x is negative."""
    (x,) = bottoms
    return np.where(x > 0, x, layer.elu_param.alpha * np.expm1(np.minimum(x, 0)))


def power(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Return (shift + scale · x)^power."""
    param = layer.power_param
    return np.asarray((param.shift + param.scale * bottoms[0]) ** float(param.power))


def flatten(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Join the axes from one to another."""
    (x,), param = bottoms, layer.flatten_param
    first, last = param.axis % x.ndim, param.end_axis % x.ndim
    return x.reshape(*x.shape[:first], -1, *x.shape[last + 1 :])


def reshape(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Give another shape: 0 copies an axis, -1 is inferred."""
    (x,) = bottoms
    dims = [x.shape[i] if dim == 0 else dim for i, dim in enumerate(layer.reshape_param.shape.dim)]
    return x.reshape(dims)


def slices(layer: Any, bottoms: list[Array], params: list[Array]) -> list[Array]:
    """Cut along an axis: at the points that are given, or into equal parts."""
    param, (x,) = layer.slice_param, bottoms
    axis = param.slice_dim if param.HasField("slice_dim") else param.axis
    return np.split(x, list(param.slice_point) or len(layer.top), axis)


def crop(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Cut the last axes of the first bottom to the size of the second."""
    param, (x, wanted) = layer.crop_param, bottoms
    first = param.axis % x.ndim
    offsets = list(param.offset) or [0]
    offsets = offsets * (x.ndim - first) if len(offsets) == 1 else offsets
    cuts = [slice(o, o + n) for o, n in zip(offsets, wanted.shape[first:], strict=True)]
    return x[(slice(None),) * first + tuple(cuts)]


def argmax(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Return where the largest numbers are, along an axis or of a whole picture."""
    param, (x,) = layer.argmax_param, bottoms
    axis = param.axis if param.HasField("axis") else 2
    x = x if param.HasField("axis") else x.reshape(len(x), 1, -1, *[1] * (x.ndim - 3))
    order = np.flip(np.argsort(x, axis=axis, kind="stable"), axis).take(range(param.top_k), axis)
    if not param.out_max_val:
        return order.astype(np.float64)
    largest = np.take_along_axis(x, order, axis)
    return largest if param.HasField("axis") else np.concatenate([order, largest], axis=1)


def _by_label(scores: Array, labels: Array) -> tuple[Array, NDArray[np.intp]]:
    """Lay out scores as (cases, classes), and labels as (cases,)."""
    classes = np.moveaxis(scores, 1, -1).reshape(-1, scores.shape[1])
    return classes, labels.reshape(-1).astype(np.intp)


def softmax_loss(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Sum the labels' negative logarithms, and divide by what the normalization says."""
    param = layer.loss_param
    exponentials = np.exp(bottoms[0] - bottoms[0].max(axis=1, keepdims=True))
    shares = exponentials / exponentials.sum(axis=1, keepdims=True)
    cases, labels = _by_label(shares, bottoms[1])
    ignored = param.ignore_label if param.HasField("ignore_label") else None
    losses = [-math.log(p[k]) for p, k in zip(cases, labels, strict=True) if k != ignored]
    mode = ("FULL", "VALID", "BATCH_SIZE", "NONE")[param.normalization]
    if param.HasField("normalize") and not param.HasField("normalization"):
        mode = "VALID" if param.normalize else "BATCH_SIZE"
    counts = {"FULL": labels.size, "VALID": len(losses), "BATCH_SIZE": len(shares), "NONE": 1}
    return np.array(sum(losses) / counts[mode])


def accuracy(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Return the share of cases in which fewer than top_k other scores reach the label's."""
    param = layer.accuracy_param
    cases, labels = _by_label(*bottoms)
    ignored = param.ignore_label if param.HasField("ignore_label") else None
    hits = [
        (scores >= scores[k]).sum() <= param.top_k
        for scores, k in zip(cases, labels, strict=True)
        if k != ignored
    ]
    return np.array(np.mean(hits))


def euclidean_loss(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Return half the mean over the batch of the squared distances."""
    first, second = bottoms
    return np.array(((first - second.reshape(first.shape)) ** 2).sum() / 2 / len(first))


def exponential(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Return base^(shift + scale · x)."""
    param = layer.exp_param
    base = math.e if param.base == -1 else param.base
    return np.asarray(base ** (param.shift + param.scale * bottoms[0]))


def logarithm(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Return the logarithm to a base of shift + scale · x."""
    param = layer.log_param
    base = math.e if param.base == -1 else param.base
    return np.asarray(np.log(param.shift + param.scale * bottoms[0]) / math.log(base))


def concat(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Join the bottoms along an axis."""
    param = layer.concat_param
    return np.concatenate(
        bottoms, axis=param.concat_dim if param.HasField("concat_dim") else param.axis
    )


def unchanged(layer: Any, bottoms: list[Array], params: list[Array]) -> Array:
    """Return the bottom: dropout at test time, and split."""
    return bottoms[0]


FUNCTIONS: Mapping[str, LayerFunction] = {
    "AbsVal": lambda layer, bottoms, params: np.abs(bottoms[0]),
    "Accuracy": accuracy,
    "ArgMax": argmax,
    "BNLL": lambda layer, bottoms, params: np.log1p(np.exp(bottoms[0])),
    "BatchNorm": batch_norm,
    "Bias": bias,
    "Clip": lambda layer, bottoms, params: np.clip(
        bottoms[0], layer.clip_param.min, layer.clip_param.max
    ),
    "Concat": concat,
    "Convolution": convolution,
    "Crop": crop,
    "Deconvolution": deconvolution,
    "Dropout": unchanged,
    "ELU": elu,
    "Eltwise": eltwise,
    "EuclideanLoss": euclidean_loss,
    "Exp": exponential,
    "Flatten": flatten,
    "InnerProduct": inner_product,
    "LRN": lrn_of_either_kind,
    "Log": logarithm,
    "PReLU": prelu,
    "Pooling": pooling,
    "Power": power,
    "ReLU": relu,
    "Reshape": reshape,
    "Scale": scale,
    "Sigmoid": lambda layer, bottoms, params: 1 / (1 + np.exp(-bottoms[0])),
    "Silence": lambda layer, bottoms, params: [],
    "Slice": slices,
    "Softmax": softmax,
    "SoftmaxWithLoss": softmax_loss,
    "Split": unchanged,
    "TanH": lambda layer, bottoms, params: np.tanh(bottoms[0]),
    "Threshold": lambda layer, bottoms, params: (
        bottoms[0] > layer.threshold_param.threshold
    ).astype(np.float64),
}


def random_weights(
    layers: Iterable[Any], shapes: Mapping[str, Sequence[tuple[int, ...]]], seed: int
) -> dict[str, tuple[NDArray[np.float32], ...]]:
    """Return seeded random weights with which activations keep their size through the layers.

    Convolutions and inner products are drawn as He et al. 2015 (MSRA) propose, with standard
    deviation sqrt(2 / inputs); the second moments of batch normalisation are positive.

    Parameters
    ----------
    layers : iterable of LayerParameter
        The layers.
    shapes : mapping of str to sequence of tuple
        The shapes of each layer's blobs.
    seed : int
        Of the generator.
    """
    generator = np.random.default_rng(seed)
    types = {layer.name: layer.type for layer in layers}

    def draw(kind: str, index: int, shape: tuple[int, ...]) -> NDArray[Any]:
        if kind in ("Convolution", "Deconvolution", "InnerProduct") and index == 0:
            inputs = math.prod(shape[1:])
            return generator.standard_normal(shape) * math.sqrt(2 / inputs)
        if kind == "BatchNorm":
            factor = 2.5
            means = generator.standard_normal(shape) * 0.1
            variances = generator.uniform(0.5, 1.5, shape)
            return np.asarray((means * factor, variances * factor, np.full(shape, factor))[index])
        if kind == "Scale" and index == 0:
            return generator.uniform(0.5, 1.5, shape)
        return generator.standard_normal(shape) * 0.1

    return {
        name: tuple(
            np.asarray(draw(types[name], index, shape), np.float32)
            for index, shape in enumerate(blobs)
        )
        for name, blobs in shapes.items()
    }
