"""What OpenVINO makes of a graph is checked before it is used."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from onnx import TensorProto, helper
from openvino import opset13 as nodes

from cam.engines.openvino_graph import compiled_checked, read_graph
from cam.errors import CamError

CORE = openvino.Core()


def top_of(count: int, taken: int) -> onnx.ModelProto:
    """Return a graph that gives the places of the largest of some numbers."""
    taken_name = helper.make_tensor("taken", TensorProto.INT64, [1], [taken])
    node = helper.make_node("TopK", ["numbers", "taken"], ["values", "places"], axis=1)
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [2, count])],
        [helper.make_tensor_value_info("places", TensorProto.INT64, [2, taken])],
        [taken_name],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


@pytest.mark.parametrize("taken", [1, 3, 40])
def test_of_equal_numbers_the_first_are_taken(taken: int) -> None:
    numbers = np.random.default_rng(taken).integers(0, 3, (2, 60)).astype(np.float32)
    compiled = CORE.compile_model(read_graph(CORE, top_of(60, taken)), "CPU")
    expected = np.argsort(-numbers, axis=1, kind="stable")[:, :taken]
    np.testing.assert_array_equal(compiled(numbers)[0], expected)


def doubled() -> Any:
    data = nodes.parameter([1, 3], np.float32)
    twice = nodes.multiply(data, np.float32(2))
    return CORE.compile_model(openvino.Model([twice], [data], "twice"), "CPU")


def test_outputs_of_the_right_size_are_taken() -> None:
    assert compiled_checked("net", [(1, 3, 1, 1)], doubled).outputs


def test_an_output_of_another_size_is_refused() -> None:
    with pytest.raises(CamError, match=r"shape \(1, 3\) for one of shape \(1, 4\); .*caffe"):
        compiled_checked("net", [(1, 4)], doubled)


def test_what_openvino_cannot_compile_is_one_line() -> None:
    def fail() -> None:
        raise RuntimeError("Exception from core.cpp:117:\nCheck failed\n")

    with pytest.raises(CamError, match=r"cannot run this network; .*\(Exception .* Check failed\)"):
        compiled_checked("net", [], fail)
