"""The `openvino` engine: the same Caffe files, run by OpenVINO, with no Caffe needed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from math import prod
from typing import Any

import numpy as np

from cam.caffe.layers import Shape
from cam.caffe.loaded import LoadedNetwork
from cam.caffe.network import Network
from cam.engines import winograd
from cam.engines.compiled import compile_cached
from cam.engines.openvino_graph import compiled_checked, read_graph
from cam.engines.protocol import (
    BFLOAT16,
    FLOAT32,
    Array,
    ChooseClasses,
    NetworkOutput,
    checked_batch,
    forward_only,
)
from cam.errors import CamError, InvalidValueError

RUNS_BACKWARD = False

_HINTS = {FLOAT32: "f32", BFLOAT16: "bf16"}
"""OpenVINO's names of the precisions."""

PRECISIONS = tuple(_HINTS)

_SHORT_SUMS = 300
"""Products in the average sum of a layer, below which memory takes the time, not arithmetic."""

_AT_ONCE = 2
"""Inputs of such a network that run at once; what more of them write is out of the caches when it
is read. Ten crops take 0.86 to 0.93 of the time so (EfficientNet-Lite0, SqueezeNet); networks with
longer sums take as long or longer (GoogLeNet, VGG16; AlexNet+ 1.03)."""


def start(
    network: LoadedNetwork, device: str, threads: int | None, precision: str
) -> OpenVinoEngine:
    """Start the engine; see `cam.engines.opening.ENGINES`."""
    if device not in ("", "cpu"):
        raise InvalidValueError(f"the openvino engine runs on the CPU, not on {device!r}")
    return OpenVinoEngine(network, threads, precision)


def obstacle(device: str) -> str:
    """Say why the engine could not start."""
    return "" if find_spec("openvino") is not None else "which is not installed"


class OpenVinoEngine:
    """Runs a network on the CPU; see `cam.engines.protocol.Engine`.

    A network is compiled once for each batch size and kind of call. The compiled network is kept
    on disk for the next start, see `cam.engines.compiled`.

    Parameters
    ----------
    network : cam.caffe.loaded.LoadedNetwork
        The network.
    threads : int, optional
        How many threads a forward pass may use; OpenVINO's choice if not given.
    precision : {"float32", "bfloat16"}, optional
        What layers are computed in.

    Raises
    ------
    CamError
        If the processor has no units for this precision, without which it would be slower.
    """

    name = "openvino"
    device = "CPU"
    batch_size = 1
    """Requests side by side do more than one request with many inputs."""
    needs_blas_threads = False

    def __init__(
        self, network: LoadedNetwork, threads: int | None = None, precision: str = FLOAT32
    ) -> None:
        import openvino

        self.network = network
        self.precision = precision
        # Its sums cancel, for which half precision has too few digits.
        self.winograd = winograd.chosen_setting() if precision == FLOAT32 else "off"
        self._outputs = (network.head.last_conv, network.head.scores)
        self._at_once = _AT_ONCE if _mean_sum(network.network) < _SHORT_SUMS else None
        self._core = openvino.Core()
        if precision != FLOAT32:
            _check_units(self._core, precision)
        # The CPU plugin would take bfloat16 by itself where the processor has it.
        self._options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _HINTS[precision]}
        if threads is not None:
            self._options["INFERENCE_NUM_THREADS"] = threads
        self._compiled: dict[tuple[int, str], _CompiledNetwork] = {}
        self._lock = threading.Lock()

    @property
    def version(self) -> tuple[str, str]:
        """OpenVINO and its version."""
        from importlib import metadata

        return self.name, metadata.version("openvino")

    def warm_up(self, count: int) -> None:
        """Compile the network for batches of `count` inputs."""
        for _, size in self._parts(count):
            self._network_for(size, "LATENCY")

    def forward(self, batch: Array) -> NetworkOutput:
        """Run a batch."""
        inputs = checked_batch(self.network, batch)
        output = self._empty(len(inputs))
        for first, size in self._parts(len(inputs)):
            with self._network_for(size, "LATENCY").request() as request:
                _bind(request, inputs[first : first + size], output.inputs(first, size))
                request.infer()
        return output

    def requests_in_flight(self, count: int) -> int:
        """As many again as there are streams wait, so that no stream ever does."""
        parts = self._parts(count)
        return -(-2 * self._network_for(parts[0][1], "THROUGHPUT").streams // len(parts))

    def submit(self, batch: Array) -> Callable[[], NetworkOutput]:
        """Begin to run a batch, as one of several streams side by side."""
        inputs = checked_batch(self.network, batch)
        output = self._empty(len(inputs))
        with ExitStack() as begun:
            for first, size in self._parts(len(inputs)):
                network = self._network_for(size, "THROUGHPUT")
                request = network.take()
                _bind(request, inputs[first : first + size], output.inputs(first, size))
                request.start_async()
                begun.callback(network.finish, request)
            return partial(_finished, begun.pop_all(), inputs, output)

    def input_gradients(self, batch: Array, choose: ChooseClasses) -> tuple[NetworkOutput, Array]:
        """Refuse: OpenVINO runs networks forward only."""
        raise forward_only(self.name)

    def _parts(self, count: int) -> list[tuple[int, int]]:
        """Return the parts in which a batch runs: the place of the first input, and how many."""
        size = self._at_once or count
        return [(first, min(size, count - first)) for first in range(0, count, size)]

    def _empty(self, count: int) -> NetworkOutput:
        activations, scores = (np.empty(shape, np.float32) for shape in self._shapes(count))
        return NetworkOutput(activations, scores.reshape(count, -1))

    def _shapes(self, count: int) -> list[Shape]:
        shapes = self.network.network.blob_shapes
        return [(count, *shapes[blob][1:]) for blob in self._outputs]

    def _network_for(self, count: int, hint: str) -> _CompiledNetwork:
        with self._lock:
            if (count, hint) not in self._compiled:
                shapes = self._shapes(count)
                build = partial(self._compile, count, hint)
                compiled = compiled_checked(self.network.name, shapes, build)
                self._compiled[count, hint] = _CompiledNetwork(compiled)
            return self._compiled[count, hint]

    def _compile(self, count: int, hint: str) -> Any:
        options = {**self._options, "PERFORMANCE_HINT": hint}
        in_tiles = self.winograd == "on" or (self.winograd == "auto" and hint == "THROUGHPUT")
        build = partial(self._model, count, in_tiles)
        if not self.network.weights_sha256:
            return self._core.compile_model(build(), "CPU", options)
        key = {
            "network": self.network.network.digest,
            "weights": self.network.weights_sha256,
            "outputs": self._outputs,
            "batch": count,
            "winograd": in_tiles,
        }
        return compile_cached(self._core, options, key, build)

    def _model(self, count: int, in_tiles: bool) -> Any:
        # Not kept: it is as large as the weights, and compiled networks are.
        from cam.engines.onnx_graph import to_onnx

        graph = to_onnx(self.network.network, self.network.weights, self._outputs)
        model = read_graph(self._core, graph)
        model.reshape([count, *self.network.network.input_shape[1:]])
        if in_tiles:
            winograd.use_winograd(model)
        return model


def _finished(begun: ExitStack, inputs: Array, output: NetworkOutput) -> NetworkOutput:
    """Wait for all requests of a batch; its input is kept until then."""
    begun.close()
    return output


def _bind(request: Any, inputs: Array, output: NetworkOutput) -> None:
    """Let a request read its input where it is, and write into arrays that the caller keeps."""
    import openvino

    for index, array in enumerate((output.activations, output.scores)):
        shape = request.model_outputs[index].shape
        tensor = openvino.Tensor(array.reshape(shape), shared_memory=True)
        request.set_output_tensor(index, tensor)
    request.set_input_tensor(openvino.Tensor(inputs, shared_memory=True))


def _mean_sum(network: Network) -> float:
    """Return how many products a value of a network's convolutions sums on the average."""
    products, values = 0, 0
    for layer in network.layers:
        if layer.type in ("Convolution", "InnerProduct"):
            count = prod(network.blob_shapes[layer.tops[0]][1:])
            products += count * prod(network.weight_shapes[layer.name][0][1:])
            values += count
    return products / max(values, 1)


def _check_units(core: Any, precision: str) -> None:
    """Refuse a precision that OpenVINO would only imitate on this processor."""
    capability = _HINTS[precision].upper()
    if capability not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise CamError(
            f"this processor ({core.get_property('CPU', 'FULL_DEVICE_NAME').strip()}) has no units "
            f"for {precision}, which would be slower here; take --precision {FLOAT32}"
        )


class _CompiledNetwork:
    """A compiled network and its requests, each for one caller at a time."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._idle: deque[Any] = deque()
        # Further callers would only wait inside OpenVINO, with memory of their own.
        self._places = threading.BoundedSemaphore(2 * self.streams)

    @contextmanager
    def request(self) -> Iterator[Any]:
        """Give an idle request; wait for one if too many are at work."""
        with self._places:
            request = self.take()
            try:
                yield request
            finally:
                self._idle.append(request)

    def take(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return self._compiled.create_infer_request()

    def finish(self, request: Any) -> None:
        """Wait for a request, which is idle then."""
        request.wait()
        self._idle.append(request)
