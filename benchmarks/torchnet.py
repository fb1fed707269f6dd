"""A Caffe network as a PyTorch module, for running other programs on the same network.

It is what torchcam and pytorch-grad-cam get, written the way a PyTorch user would: one module for
each layer, run eagerly. The project's own engines do not use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from cam.caffe.caffemodel import Blobs
from cam.caffe.head import Head
from cam.caffe.layer_types.joining import concat_axis
from cam.caffe.layer_types.spatial import convolution_geometry, pooling_geometry
from cam.caffe.layers import Layer, Shape
from cam.caffe.network import Network
from cam.errors import CamError

__all__ = ["TorchNetwork"]


class TorchNetwork(nn.Module):
    """A network's layers as PyTorch modules with the same weights.

    Parameters
    ----------
    network : Network
        The network; layers behind the scores and the softmax itself are left out.
    weights : mapping of str to tuple of numpy.ndarray
        Each layer's weights.
    head : Head
        Where its class activation maps come from.

    Attributes
    ----------
    last_conv, class_layer : torch.nn.Module
        The module that writes the last conv's blob, after an in-place activation, and the linear
        layer with the class weights.

    Raises
    ------
    CamError
        If a layer is of a type that is not written here.
    """

    def __init__(self, network: Network, weights: Mapping[str, Blobs], head: Head) -> None:
        super().__init__()
        self._input_name = network.input_name
        self._output_name = network.layer(head.class_layer).tops[0]
        self._steps: list[tuple[tuple[str, ...], str, nn.Module]] = []
        for layer in network.layers:
            if layer.type not in _MODULES:
                raise CamError(f"{network.source}: {layer} is not written for PyTorch")
            bottoms = [network.blob_shapes[blob] for blob in layer.bottoms]
            module = _MODULES[layer.type](layer, bottoms, weights.get(layer.name, ()))
            self.add_module(layer.name.replace(".", "_"), module)
            self._steps.append((layer.bottoms, layer.tops[0], module))
            if layer.name == head.class_layer:
                break
        self.last_conv = [m for _, top, m in self._steps if top == head.last_conv][-1]
        self.class_layer = next(m for m in module.modules() if isinstance(m, nn.Linear))
        self.eval()

    def forward(self, batch: Tensor) -> Tensor:
        """Return the class layer's output (N, C), before the softmax, of a batch (N, 3, H, W)."""
        blobs = {self._input_name: batch}
        for bottoms, top, module in self._steps:
            blobs[top] = module(*(blobs[bottom] for bottom in bottoms))
        return blobs[self._output_name]


class _Apply(nn.Module):
    """A layer without weights as a function of its bottoms."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, *bottoms: Tensor) -> Tensor:
        return self._function(*bottoms)


def _convolution(layer: Layer, bottoms: list[Shape], weights: Blobs) -> nn.Module:
    geometry = convolution_geometry(layer)
    outputs, inputs = weights[0].shape[:2]
    groups = layer.message.convolution_param.group
    module = nn.Conv2d(
        inputs * groups,
        outputs,
        geometry.kernel,
        geometry.stride,
        geometry.pad,
        geometry.dilation,
        groups,
        bias=len(weights) > 1,
    )
    return _with_weights(module, weights)


def _inner_product(layer: Layer, bottoms: list[Shape], weights: Blobs) -> nn.Module:
    outputs, inputs = weights[0].shape
    return nn.Sequential(
        nn.Flatten(), _with_weights(nn.Linear(inputs, outputs, bias=len(weights) > 1), weights)
    )


def _with_weights(module: nn.Module, weights: Blobs) -> nn.Module:
    names = ("weight", "bias")
    state = {name: torch.tensor(blob) for name, blob in zip(names, weights, strict=False)}
    module.load_state_dict(state)
    return module


def _pooling(layer: Layer, bottoms: list[Shape], weights: Blobs) -> nn.Module:
    param = layer.message.pooling_param
    geometry = pooling_geometry(layer, bottoms[0])
    padded = [size + 2 * pad for size, pad in zip(bottoms[0][2:], geometry.pad, strict=True)]
    rounded_up = any(
        (padded[axis] - geometry.kernel[axis]) // geometry.stride[axis] + 1 < geometry.output[axis]
        for axis in (0, 1)
    )
    # PyTorch has Caffe's rule for the last window; its divisor counts the declared padding too.
    kind = nn.MaxPool2d if param.PoolMethod.Name(param.pool) == "MAX" else nn.AvgPool2d
    return kind(geometry.kernel, geometry.stride, geometry.pad, ceil_mode=rounded_up)


def _lrn(layer: Layer, bottoms: list[Shape], weights: Blobs) -> nn.Module:
    param = layer.message.lrn_param
    return nn.LocalResponseNorm(param.local_size, param.alpha, param.beta, param.k)


def _relu(layer: Layer, bottoms: list[Shape], weights: Blobs) -> nn.Module:
    return nn.ReLU(inplace=layer.bottoms == layer.tops)


def _concat(layer: Layer, bottoms: list[Shape], weights: Blobs) -> nn.Module:
    axis = concat_axis(layer, bottoms[0])
    return _Apply(lambda *parts: torch.cat(parts, axis))


def _eltwise(layer: Layer, bottoms: list[Shape], weights: Blobs) -> nn.Module:
    param = layer.message.eltwise_param
    factors = list(param.coeff) or [1.0] * len(bottoms)

    def add(*parts: Tensor) -> Tensor:
        total = parts[0] * factors[0]
        for part, factor in zip(parts[1:], factors[1:], strict=True):
            total = total + factor * part
        return total

    if param.EltwiseOp.Name(param.operation) != "SUM":
        raise CamError(f"{layer} is not written for PyTorch but as a sum")
    return _Apply(add)


def _power(layer: Layer, bottoms: list[Shape], weights: Blobs) -> nn.Module:
    param = layer.message.power_param
    power, scale, shift = float(param.power), float(param.scale), float(param.shift)
    if power == 1:
        return _Apply(lambda x: scale * x + shift)
    return _Apply(lambda x: (scale * x + shift).pow(power))


_MODULES: Mapping[str, Callable[[Layer, list[Shape], Blobs], nn.Module]] = {
    "Concat": _concat,
    "Convolution": _convolution,
    "Dropout": lambda layer, bottoms, weights: nn.Dropout(),
    "Eltwise": _eltwise,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
}
