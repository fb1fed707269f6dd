"""Networks on their way into OpenVINO: read from ONNX, compiled, and checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from cam.caffe.layers import Shape
from cam.errors import CamError, one_line

if TYPE_CHECKING:
    import onnx


def read_graph(core: Any, graph: onnx.ModelProto) -> Any:
    """Return a graph as OpenVINO's model.

    Parameters
    ----------
    core : openvino.Core
        The runtime.
    graph : onnx.ModelProto
        The graph.

    Returns
    -------
    openvino.Model
        The model. Of equal numbers its ``TopK`` takes the first, as ONNX's does; OpenVINO takes
        any unless it is told to.
    """
    model = core.read_model(graph.SerializeToString(), b"")
    for node in model.get_ops():
        if node.get_type_name() == "TopK":
            node.set_attribute("stable", True)
    return model


def compiled_checked(name: str, shapes: Sequence[Shape], build: Callable[[], Any]) -> Any:
    """Return a compiled network whose outputs have the sizes that they must have.

    OpenVINO rewrites a graph to make it faster, and has been seen to change what it computes.

    Parameters
    ----------
    name : str
        Of the network, for messages.
    shapes : sequence of tuple of int
        What the outputs are in Caffe, in their order.
    build : callable
        Compiles it.

    Raises
    ------
    CamError
        If OpenVINO cannot compile it, or makes something else of it.
    """
    advice = "--engine caffe runs it where Caffe is installed"
    try:
        compiled = build()
    except RuntimeError as error:
        said = one_line(str(error))
        raise CamError(f"{name}: OpenVINO cannot run this network; {advice} ({said})") from error
    for shape, output in zip(shapes, compiled.outputs, strict=True):
        if prod(output.shape) != prod(shape):
            raise CamError(
                f"{name}: OpenVINO gives an output of shape {tuple(output.shape)} for one of shape "
                f"{shape}; {advice}"
            )
    return compiled
