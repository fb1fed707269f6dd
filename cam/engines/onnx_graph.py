"""A Caffe network as an ONNX graph.

The layer types (`cam.caffe.layer_types`) write the nodes of their arithmetic, Caffe's own rules
included: pooling windows rounded up and cut off, average pooling that divides by the window's size
with its padding. What is here gives blobs that are written in place a tensor for each value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from cam.caffe.caffemodel import Blobs
from cam.caffe.layer_types import LAYER_TYPES
from cam.caffe.layers import Layer, LayerRun, Shape, UnsupportedError
from cam.caffe.network import Network
from cam.errors import CamError

OPSET = 13
"""Old enough for every ONNX runtime in use; has all the operators that are needed."""
IR_VERSION = 8


def to_onnx(
    network: Network, weights: Mapping[str, Blobs], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Write a network as an ONNX model.

    Parameters
    ----------
    network : Network
        The network.
    weights : mapping of str to tuple of numpy.ndarray
        Each layer's weights, in the shapes that `network` asks for.
    outputs : sequence of str
        Which blobs to give out.

    Returns
    -------
    onnx.ModelProto
        A float32 model. Its input has the name of the network's input and any batch size; its
        outputs are the blobs' final values, after in-place layers, named like the blobs.

    Raises
    ------
    CamError
        If a layer has parameters that cannot be expressed; the message names the layer.
    """
    graph = _Graph(network)
    for layer in network.layers:
        run = LayerRun(
            layer,
            [graph.tensors[blob] for blob in layer.bottoms],
            [graph.shapes[blob] for blob in layer.bottoms],
            weights.get(layer.name, ()),
        )
        try:
            LAYER_TYPES[layer.type].write(graph, run)
        except UnsupportedError as error:
            raise CamError(f"{network.source}: {layer}: {error}") from error
    described = [graph.output(blob) for blob in outputs]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            network.name or "network",
            [_value_info(network.input_name, network.input_shape)],
            described,
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="cam",
    )
    onnx.checker.check_model(model)
    return model


def _value_info(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *shape[1:]])


@dataclass
class _Graph:
    """The nodes written so far, and which tensor holds each of Caffe's blobs at this point."""

    network: Network
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    tensors: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.tensors = {self.network.input_name: self.network.input_name}
        self.last_writers = {
            top: layer
            for layer in self.network.layers
            if not LAYER_TYPES[layer.type].is_identity
            for top in layer.tops
        }
        self.names = set(self.network.blob_shapes)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        return self.network.blob_shapes

    def node(
        self, operator: str, layer: Layer, inputs: Sequence[str], step: str = "", **attributes: Any
    ) -> str:
        """Add a node and return its output; without a `step` name it is the layer's last one."""
        blob = layer.tops[0]
        if step:
            name = output = self._unique(f"{layer.name}:{step}")
        else:
            name = layer.name
            # ONNX tensors are written once: all but the last writer of an in-place blob get
            # another name, so that the blob's own name stands for its final value.
            is_last = self.last_writers[blob] is layer and blob != self.network.input_name
            output = blob if is_last else self._unique(f"{blob}:{layer.name}")
            self.tensors[blob] = output
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def constant(self, layer: Layer, name: str, values: Any, dtype: Any = np.float32) -> str:
        """Add an initializer and return its name."""
        full_name = self._unique(f"{layer.name}:{name}")
        array: NDArray[Any] = np.ascontiguousarray(values, dtype=dtype)
        array = array.reshape(np.shape(values))
        self.initializers.append(numpy_helper.from_array(array, full_name))
        return full_name

    def _unique(self, name: str) -> str:
        """Return a name for a tensor that no other has, and keep it."""
        while name in self.names:
            name += "'"
        self.names.add(name)
        return name

    def output(self, blob: str) -> onnx.ValueInfoProto:
        """Return a graph output with the blob's name, or nearly so for the network's input."""
        name = self._unique(blob) if blob == self.network.input_name else blob
        if self.tensors[blob] != name:
            self.nodes.append(helper.make_node("Identity", [self.tensors[blob]], [name]))
        return _value_info(name, self.shapes[blob])
