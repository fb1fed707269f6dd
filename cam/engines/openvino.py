"""The `openvino` engine: the same Caffe files, run by OpenVINO, with no Caffe needed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.caffe.formats import Blobs
from cam.caffe.network import Head, Network
from cam.engines import Forward
from cam.engines.compiled import compile_cached
from cam.errors import CamError

__all__ = ["OpenVinoEngine"]


class OpenVinoEngine:
    """Runs a network on the CPU in float32.

    Parameters
    ----------
    network : Network
        The network.
    weights : mapping of str to tuple of numpy.ndarray
        Each layer's weights, as `cam.caffe.network.load_weights` gives them.
    head : Head
        The blobs to give out.
    threads : int, optional
        How many threads a forward pass may use; OpenVINO's choice if not given.
    weights_digest : str, optional
        The SHA-256 of the file that the weights come from. With it the compiled network is kept on
        disk for the next start, see `cam.engines.compiled`.

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
        weights_digest: str | None = None,
    ) -> None:
        import openvino

        self._network, self._weights, self._head = network, weights, head
        self._weights_digest = weights_digest
        self.class_weights: NDArray[np.float32] = np.asarray(weights[head.class_layer][0])
        self._input_shape = network.input_shape[1:]
        self._output_shapes = [
            network.blob_shapes[blob][1:] for blob in (head.last_conv, head.scores)
        ]
        self._core = openvino.Core()
        # The CPU plugin would take bfloat16 by itself where the processor has it.
        self._options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            self._options["INFERENCE_NUM_THREADS"] = threads
        self._requests: dict[int, Any] = {}
        self._streaming: dict[int, _StreamingNetwork] = {}
        self._lock = threading.Lock()

    def prepare(self, count: int) -> None:
        """Compile the network for batches of `count` inputs."""
        self._request(count)

    def forward(self, batch: NDArray[np.float32]) -> Forward:
        """Run a batch; see `cam.engines.Engine.forward`.

        The network is compiled once for each batch size.
        """
        inputs = self._checked(batch)
        request = self._request(len(inputs))
        forward = self._bind(request, inputs)
        request.infer()
        return forward

    batch_size = 1
    """See `cam.engines.Engine`: requests side by side do more than one request with many inputs."""

    @property
    def in_flight(self) -> int:
        """See `cam.engines.Engine`: as many again wait, so that no stream ever does."""
        return 2 * max((network.streams for network in self._streaming.values()), default=1)

    def submit(self, batch: NDArray[np.float32]) -> Callable[[], Forward]:
        """Begin to run a batch; see `cam.engines.Engine.submit`.

        The network is compiled once more for each batch size, as several streams side by side.
        """
        inputs = self._checked(batch)
        network = self._streaming_network(len(inputs))
        request = network.idle_request()
        running = _Running(request, inputs, self._bind(request, inputs), network)
        request.start_async()
        return running.result

    def _checked(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        if batch.ndim != 4 or batch.shape[1:] != self._input_shape or not len(batch):
            raise CamError(
                f"a batch of shape {batch.shape} for a network that takes (N, "
                f"{', '.join(map(str, self._input_shape))})"
            )
        return np.ascontiguousarray(batch, np.float32)

    def _bind(self, request: Any, inputs: NDArray[np.float32]) -> Forward:
        """Let a request read its input where it is, and write into arrays that the caller keeps."""
        import openvino

        outputs = [np.empty((len(inputs), *shape), np.float32) for shape in self._output_shapes]
        for index, output in enumerate(outputs):
            request.set_output_tensor(index, openvino.Tensor(output, shared_memory=True))
        request.set_input_tensor(openvino.Tensor(inputs, shared_memory=True))
        return Forward(*outputs)

    def _request(self, count: int) -> Any:
        with self._lock:
            if count not in self._requests:
                self._requests[count] = self._compile(count, "LATENCY").create_infer_request()
            return self._requests[count]

    def _streaming_network(self, count: int) -> _StreamingNetwork:
        with self._lock:
            if count not in self._streaming:
                self._streaming[count] = _StreamingNetwork(self._compile(count, "THROUGHPUT"))
            return self._streaming[count]

    def _compile(self, count: int, hint: str) -> Any:
        options = {**self._options, "PERFORMANCE_HINT": hint}
        if self._weights_digest is None:
            return self._core.compile_model(self._model(count), "CPU", options)
        key = {
            "network": self._network.digest,
            "weights": self._weights_digest,
            "outputs": [self._head.last_conv, self._head.scores],
            "batch": count,
        }
        return compile_cached(self._core, options, key, partial(self._model, count))

    def _model(self, count: int) -> Any:
        model = self._core.read_model(self._onnx, b"")
        model.reshape([count, *self._input_shape])
        return model

    @cached_property
    def _onnx(self) -> bytes:
        from cam.engines.onnx_graph import to_onnx

        serialized: bytes = to_onnx(self._network, self._weights, self._head).SerializeToString()
        return serialized


class _StreamingNetwork:
    """A network compiled to run several requests side by side, and those that are idle."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.idle: deque[Any] = deque()

    def idle_request(self) -> Any:
        try:
            return self.idle.pop()
        except IndexError:
            return self._compiled.create_infer_request()


@dataclass(frozen=True)
class _Running:
    """A request under way, with the arrays that it reads and writes."""

    request: Any
    inputs: NDArray[np.float32]
    forward: Forward
    network: _StreamingNetwork

    def result(self) -> Forward:
        self.request.wait()
        self.network.idle.append(self.request)
        return self.forward
