"""Forward passes: some of a network's layers, compiled for the blobs that are looked at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from cam.caffe.caffemodel import Blobs
from cam.caffe.layers import Layer
from cam.caffe.network import Network, connect_layers
from cam.engines.openvino_graph import compiled_checked, read_graph
from cam.pycaffe.blob import Array

__all__ = ["Pass", "Program"]

OPTIONS = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}

FEW = 3
"""How often a pass computes what is asked for alone; whoever asks for more gets all at once."""


class Program:
    """Layers with shapes and weights, compiled once for each set of blobs that is asked for.

    Parameters
    ----------
    network : cam.caffe.network.Network
        The layers and their shapes.
    weights : mapping of str to tuple of numpy.ndarray
        The weights of each layer; they do not change.
    """

    def __init__(self, network: Network, weights: Mapping[str, Blobs]) -> None:
        self.network = network
        self.weights = weights
        self.tops = tuple(dict.fromkeys(top for layer in network.layers for top in layer.tops))
        self._graphs: dict[frozenset[str], _Graph] = {}
        self.usual: frozenset[str] = frozenset()
        """What was looked at after the last pass, and so will be after the next."""

    def compute(self, inputs: Mapping[str, Array], wanted: Iterable[str]) -> dict[str, Array]:
        """Return blobs after all layers have run.

        Parameters
        ----------
        inputs : mapping of str to numpy.ndarray
            What the layers read.
        wanted : iterable of str
            Blobs that the layers write.

        Returns
        -------
        dict of str to numpy.ndarray
            float32, arrays of their own.
        """
        stored = {blob: self._stored(blob) for blob in wanted}
        graph = self._graph(frozenset(stored.values()))
        results = graph.run(inputs)
        shapes = self.network.blob_shapes
        return {blob: results[name].reshape(shapes[blob]) for blob, name in stored.items()}

    def _stored(self, blob: str) -> str:
        """Return the blob that has this one's final values.

        Where blobs share memory in Caffe, that is the one that was changed in place last.
        """
        while blob in self.network.overwritten:
            blob = self.network.layer(self.network.overwritten[blob]).tops[0]
        return blob

    def _graph(self, wanted: frozenset[str]) -> _Graph:
        able = [outputs for outputs in self._graphs if wanted <= outputs]
        if able:
            return self._graphs[min(able, key=len)]
        self._graphs[wanted] = _Graph(self.network, self.weights, sorted(wanted))
        return self._graphs[wanted]


class Pass:
    """One forward pass, of which only what is asked for is computed.

    Parameters
    ----------
    program : Program
        What runs.
    inputs : mapping of str to numpy.ndarray
        What it reads; the arrays must not change.
    wanted : collection of str
        Blobs that are computed with the first one that is asked for.
    """

    def __init__(
        self, program: Program, inputs: Mapping[str, Array], wanted: Collection[str]
    ) -> None:
        self._program = program
        self._inputs = inputs
        self._wanted = wanted
        self._values: dict[str, Array] = {}
        self._asked: set[str] = set()
        self._runs = 0

    def value(self, blob: str) -> Array:
        """Return a blob's values, once."""
        self._asked.add(blob)
        self._program.usual = frozenset(self._asked)
        if blob not in self._values:
            together = self._wanted if self._runs == 0 else ()
            if self._runs >= FEW:
                together = self._program.tops
            self._values.update(self._program.compute(self._inputs, {blob, *together}))
            self._runs += 1
        return self._values.pop(blob)


class _Graph:
    """The layers that some blobs need, compiled to give these."""

    def __init__(
        self, network: Network, weights: Mapping[str, Blobs], wanted: Collection[str]
    ) -> None:
        from cam.engines.onnx_graph import to_onnx

        layers = _needed(network.layers, wanted)
        read = {blob for layer in layers for blob in layer.bottoms}
        shapes = network.blob_shapes
        self._inputs = [name for name in network.inputs if name in read]
        needed = connect_layers(
            network.message, network.source, layers, {name: shapes[name] for name in self._inputs}
        )
        self._wanted = list(wanted)
        model = to_onnx(needed, weights, self._wanted, any_batch=False)
        core = _core()
        self._compiled = compiled_checked(
            network.source,
            [needed.blob_shapes[blob] for blob in self._wanted],
            lambda: core.compile_model(read_graph(core, model), "CPU", OPTIONS),
        )

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        results = self._compiled([inputs[name] for name in self._inputs])
        return {blob: np.asarray(results[index]) for index, blob in enumerate(self._wanted)}


def _needed(layers: Iterable[Layer], wanted: Collection[str]) -> list[Layer]:
    """Return the layers that have a part in some blobs, those that run in place included."""
    blobs = set(wanted)
    kept = []
    for layer in reversed(list(layers)):
        if blobs.intersection(layer.tops):
            kept.append(layer)
            blobs.update(layer.bottoms)
    return kept[::-1]


@lru_cache(maxsize=1)
def _core() -> Any:
    import openvino

    return openvino.Core()
