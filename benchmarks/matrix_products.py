"""The product of two matrices in several libraries: what the machine can do at most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.workload import Call, Workload, import_torch

__all__ = ["MATRIX_SIZE", "numpy_product", "openvino_product", "torch_product"]

MATRIX_SIZE = 1024


def _random_matrices() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    first, second = generator.standard_normal((2, MATRIX_SIZE, MATRIX_SIZE), dtype=np.float32)
    return first, second


def numpy_product(workload: Workload) -> Call:
    """Multiply with NumPy's BLAS library."""
    first, second = _random_matrices()
    product = np.empty_like(first)
    return lambda: np.matmul(first, second, out=product)


def openvino_product(workload: Workload) -> Call:
    """Multiply with OpenVINO, as its networks do."""
    import openvino
    from onnx import TensorProto, helper, numpy_helper

    first, second = _random_matrices()
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(first.shape))]
        for name in ("a", "c")
    )
    product = helper.make_node("MatMul", ["a", "b"], ["c"])
    weights = [numpy_helper.from_array(second, "b")]
    graph = helper.make_graph([product], "product", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    core = openvino.Core()
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": workload.threads,
    }
    compiled = core.compile_model(core.read_model(model.SerializeToString(), b""), "CPU", options)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(first, shared_memory=True))
    return request.infer  # type: ignore[no-any-return]


def torch_product(workload: Workload) -> Call:
    """Multiply with PyTorch."""
    torch = import_torch(workload.threads)
    first, second = (torch.from_numpy(matrix) for matrix in _random_matrices())
    product = torch.empty_like(first)
    return lambda: torch.matmul(first, second, out=product)
