"""The `openvino` engine: the same Caffe files, run by OpenVINO, with no Caffe needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.caffenet import Blobs
from cam.engines import Forward
from cam.errors import CamError
from cam.network import Head, Network

__all__ = ["OpenVinoEngine"]


class OpenVinoEngine:
    """Runs a network on the CPU in float32.

    Parameters
    ----------
    network : Network
        The network.
    weights : mapping of str to tuple of numpy.ndarray
        Each layer's weights, as `cam.network.load_weights` gives them.
    head : Head
        The blobs to give out.
    threads : int, optional
        How many threads a forward pass may use; OpenVINO's choice if not given.

    Attributes
    ----------
    name, device, class_weights
        See `cam.engines.Engine`.
    """

    name = "openvino"
    device = "CPU"

    def __init__(
        self,
        network: Network,
        weights: Mapping[str, Blobs],
        head: Head,
        threads: int | None = None,
    ) -> None:
        import openvino

        from cam.onnx import to_onnx

        self.class_weights: NDArray[np.float32] = np.asarray(weights[head.class_layer][0])
        self._input_shape = network.input_shape[1:]
        self._output_shapes = [
            network.blob_shapes[blob][1:] for blob in (head.last_conv, head.scores)
        ]
        self._core = openvino.Core()
        # The CPU plugin would take bfloat16 by itself where the processor has it.
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads is not None:
            self._options["INFERENCE_NUM_THREADS"] = threads
        serialized = to_onnx(network, weights, head).SerializeToString()
        self._model = self._core.read_model(serialized, b"")
        self._requests: dict[int, Any] = {}

    def forward(self, batch: NDArray[np.float32]) -> Forward:
        """Run a batch; see `cam.engines.Engine.forward`.

        The network is compiled once for each batch size.
        """
        import openvino

        if batch.ndim != 4 or batch.shape[1:] != self._input_shape:
            raise CamError(
                f"a batch of shape {batch.shape} for a network that takes (N, "
                f"{', '.join(map(str, self._input_shape))})"
            )
        request = self._request(len(batch))
        # The engine writes straight into arrays that the caller keeps.
        outputs = [np.empty((len(batch), *shape), np.float32) for shape in self._output_shapes]
        for index, output in enumerate(outputs):
            request.set_output_tensor(index, openvino.Tensor(output, shared_memory=True))
        contiguous = np.ascontiguousarray(batch, np.float32)
        request.set_input_tensor(openvino.Tensor(contiguous, shared_memory=True))
        request.infer()
        return Forward(*outputs)

    def _request(self, count: int) -> Any:
        if count not in self._requests:
            self._model.reshape([count, *self._input_shape])
            compiled = self._core.compile_model(self._model, "CPU", self._options)
            self._requests[count] = compiled.create_infer_request()
        return self._requests[count]
