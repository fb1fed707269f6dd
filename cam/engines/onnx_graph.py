"""A Caffe network as an ONNX graph.

The layer types (`cam.caffe.layer_types`) write the nodes of their arithmetic, Caffe's own rules
included: pooling windows rounded up and cut off, average pooling that divides by the window's size
with its padding. What is here gives blobs that are written in place a tensor for each value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    network: Network,
    weights: Mapping[str, Blobs],
    outputs: Sequence[str],
    any_batch: bool = True,
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
    any_batch : bool, optional
        Whether the model takes batches of any size, and not only of the network's.

    Returns
    -------
    onnx.ModelProto
        A float32 model. Its inputs have the names of the network's inputs; its outputs are the
        blobs' final values, after in-place layers, named like the blobs.

    Raises
    ------
    CamError
        If a layer has parameters that cannot be expressed; the message names the layer.
    """
    graph = _Graph(network, any_batch)
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
            [graph.described(name, graph.shapes[name]) for name in network.inputs],
            described,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="cam",
    )
    # One by one, since together they are as large as the weights, and copied each time.
    for initializer in graph.initializers():
        model.graph.initializer.append(initializer)
    return model


class _Graph:
    """The nodes written so far, and which tensor holds each of Caffe's blobs at this point."""

    def __init__(self, network: Network, any_batch: bool) -> None:
        self.inputs = network.inputs
        self.any_batch = any_batch
        self.shapes = network.blob_shapes
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[tuple[str, NDArray[Any]]] = []
        self.tensors = {name: name for name in network.inputs}
        changing = (one for one in network.layers if not LAYER_TYPES[one.type].is_identity)
        self.last_writers = {top: layer for layer in changing for top in layer.tops}
        self.names = set(network.blob_shapes)

    def node(
        self,
        operator: str,
        layer: Layer,
        inputs: Sequence[str],
        step: str = "",
        *,
        top: int = 0,
        **attributes: Any,
    ) -> str:
        """Add a node and return its output; without a `step` name that is one of the tops."""
        if step:
            name = output = self._unique(f"{layer.name}:{step}")
        else:
            blob = layer.tops[top]
            name = f"{layer.name}:{top}" if top else layer.name
            # ONNX tensors are written once: all but the last writer of an in-place blob get
            # another name, so that the blob's own name stands for its final value.
            is_last = self.last_writers[blob] is layer and blob not in self.inputs
            output = blob if is_last else self._unique(f"{blob}:{layer.name}")
            self.tensors[blob] = output
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def pair(
        self, operator: str, layer: Layer, inputs: Sequence[str], **attributes: Any
    ) -> tuple[str, str]:
        """Add a step with two outputs and return them."""
        first, second = (self._unique(f"{layer.name}:{operator}{i}") for i in (0, 1))
        self.nodes.append(helper.make_node(operator, inputs, [first, second], **attributes))
        return first, second

    def constant(self, layer: Layer, name: str, values: Any, dtype: Any = np.float32) -> str:
        """Add an initializer and return its name."""
        full_name = self._unique(f"{layer.name}:{name}")
        array = np.asarray(values, dtype, order="C")
        self.constants.append((full_name, array))
        return full_name

    def initializers(self) -> Iterator[onnx.TensorProto]:
        """Yield the constants as ONNX has them."""
        return (numpy_helper.from_array(array, name) for name, array in self.constants)

    def _unique(self, name: str) -> str:
        """Return a name for a tensor that no other has, and keep it."""
        while name in self.names:
            name += "'"
        self.names.add(name)
        return name

    def output(self, blob: str) -> onnx.ValueInfoProto:
        """Return a graph output with the blob's name, or nearly so for one of the inputs."""
        name = self._unique(blob) if blob in self.inputs else blob
        if self.tensors[blob] != name:
            self.nodes.append(helper.make_node("Identity", [self.tensors[blob]], [name]))
        return self.described(name, self.shapes[blob])

    def described(self, name: str, shape: Shape) -> onnx.ValueInfoProto:
        """Return what the graph says of one of its inputs or outputs."""
        first: Sequence[str | int] = ["N"] if self.any_batch else shape[:1]
        dimensions = [*first[: len(shape)], *shape[1:]]
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dimensions)
