"""pycaffe's `Net`, run by OpenVINO: blobs, weights and forward passes."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from cam.caffe.caffemodel import Blobs, CaffeModel, read_caffemodel, write_caffemodel
from cam.caffe.layers import Layer as NetworkLayer
from cam.caffe.network import fit_blobs
from cam.caffe.schema import message_class
from cam.errors import CamError, InvalidValueError, nearest_names
from cam.files import PathLike
from cam.pycaffe import hdf5
from cam.pycaffe.blob import Array, Blob, Parameter
from cam.pycaffe.description import SOURCES, dummy_data, read_description
from cam.pycaffe.errors import needs_caffe
from cam.pycaffe.fillers import initial_weights
from cam.pycaffe.passes import Pass, Program

__all__ = ["TEST", "TRAIN", "LayerView", "Net"]

TRAIN = 0
"""The phase of training."""

TEST = 1
"""The phase of testing."""

PHASES = {TRAIN: "TRAIN", TEST: "TEST"}

MAX_PROGRAMS = 4
"""How many ranges of layers and sizes of their inputs are kept compiled."""


@dataclass(frozen=True, eq=False)
class LayerView:
    """What pycaffe shows of a layer.

    Attributes
    ----------
    type : str
        Its type.
    blobs : list of Blob
        Its weights.
    """

    type: str
    blobs: list[Parameter] = field(default_factory=list)


class Net:
    """A Caffe network with pycaffe's interface, run forward on the CPU by OpenVINO.

    Both orders of its history are taken: ``Net(prototxt, phase, weights=caffemodel)`` and
    ``Net(prototxt, caffemodel, phase)``. A forward pass computes the network's outputs at once and
    every other blob when it is read.

    Parameters
    ----------
    network_file : path-like
        The prototxt.
    phase : int or path-like
        ``TEST`` or ``TRAIN``; or the caffemodel, which the phase then follows.
    level : int, optional
        The level of the network's state.
    stages : sequence of str, optional
        The stages of the network's state.
    weights : path-like, optional
        The caffemodel, or an HDF5 file of weights.

    Raises
    ------
    CamError
        If a file cannot be read or does not fit, or a layer needs Caffe itself.

    Examples
    --------
    >>> from cam.files import models_folder
    >>> net = Net(models_folder() / "deploy_googlenetCAM.prototxt", TEST)
    >>> net.inputs, net.outputs, net.blobs["data"].shape
    (['data'], ['prob'], (10, 3, 224, 224))
    """

    def __init__(
        self,
        network_file: PathLike,
        phase: int | PathLike = TEST,
        level: int | None = None,
        stages: Sequence[str] | None = None,
        weights: PathLike | None = None,
    ) -> None:
        if isinstance(phase, (str, os.PathLike)):
            weights, phase, level = phase, TEST if level is None else level, 0
        if phase not in PHASES:
            raise InvalidValueError(f"no phase {phase!r}; there are TRAIN (0) and TEST (1)")
        self._description = read_description(
            os.fspath(network_file), PHASES[phase], level or 0, stages or ()
        )
        self._shapes = self._description.source_shapes()
        self._programs: OrderedDict[Any, Program] = OrderedDict()
        found = {} if weights is None else _read_weights(weights)
        self._make_layers(found)
        self._fill_sources(self._description.layers, first=True)
        self._load(found, str(weights))

    def _make_layers(self, found: Collection[str]) -> None:
        description = self._description
        network = description.connected(description.layers, self._shapes)
        self.blobs: OrderedDict[str, Blob] = OrderedDict(
            (name, Blob(network.blob_shapes[name])) for name in description.blobs
        )
        self.layers: list[LayerView] = []
        shared: dict[str, Parameter] = {}
        for layer in description.layers:
            view = LayerView(layer.type)
            shapes = network.weight_shapes.get(layer.name, ())
            # Drawing numbers that the file replaces would take longer than reading it.
            unfilled = tuple(np.broadcast_to(np.float32(0), shape) for shape in shapes)
            initial = unfilled if layer.name in found else initial_weights(layer, shapes)
            for index, values in enumerate(initial):
                specs = layer.message.param
                name = specs[index].name if index < len(specs) else ""
                parameter = shared.get(name) or Parameter(values)
                if name:
                    shared[name] = parameter
                view.blobs.append(parameter)
            self.layers.append(view)

    @property
    def _layer_names(self) -> list[str]:
        return [layer.name for layer in self._description.layers]

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def layer_dict(self) -> OrderedDict[str, LayerView]:
        """The layers by name."""
        return OrderedDict(zip(self._layer_names, self.layers, strict=True))

    @property
    def params(self) -> OrderedDict[str, list[Parameter]]:
        """The weights of each layer that has any; what is written there counts from then on."""
        return OrderedDict(
            (name, view.blobs) for name, view in self.layer_dict.items() if view.blobs
        )

    @property
    def inputs(self) -> list[str]:
        """The names of the blobs that take the network's input."""
        return list(self._description.inputs)

    @property
    def outputs(self) -> list[str]:
        """The names of the blobs that no layer reads."""
        return list(self._description.outputs)

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """The blobs that each layer reads."""
        return OrderedDict((layer.name, list(layer.bottoms)) for layer in self._description.layers)

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """The blobs that each layer writes."""
        return OrderedDict((layer.name, list(layer.tops)) for layer in self._description.layers)

    def forward(
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: ArrayLike,
    ) -> dict[str, Array]:
        """Run the network, or some of its layers.

        Parameters
        ----------
        blobs : sequence of str, optional
            Blobs to return besides the outputs.
        start, end : str, optional
            The first and the last layer to run; all if not given.
        **kwargs : array-like
            The network's inputs by name, each of its blob's shape.

        Returns
        -------
        dict of str to numpy.ndarray
            The outputs, or the tops of `end`, and `blobs`: the blobs' own memory.

        Raises
        ------
        CamError
            If there is no such layer, the inputs are not the network's, or shapes do not fit.
        """
        first = 0 if start is None else self._layer_index(start)
        last = len(self.layers) - 1 if end is None else self._layer_index(end)
        returned = [*(self.outputs if end is None else self.top_names[end]), *(blobs or ())]
        for name in returned:
            if name not in self.blobs:
                raise InvalidValueError(f"no blob {name!r}{nearest_names(name, self.blobs)}")
        if kwargs:
            self._set_inputs(kwargs)
        self._forward(first, last, returned)
        return {name: self.blobs[name].data for name in returned}

    def _set_inputs(self, inputs: Mapping[str, ArrayLike]) -> None:
        if set(inputs) != set(self.inputs):
            raise InvalidValueError(
                f"inputs {', '.join(inputs)} for a network that takes {', '.join(self.inputs)}"
            )
        for name, given in inputs.items():
            values, blob = np.asarray(given), self.blobs[name]
            if len(values) != blob.num:
                raise InvalidValueError(
                    f"{len(values)} inputs for {name!r}, a batch of {blob.num}; forward_all takes "
                    "any number"
                )
            blob.data[...] = values

    def _layer_index(self, name: str) -> int:
        if name not in self._layer_names:
            raise InvalidValueError(f"no layer {name!r}{nearest_names(name, self._layer_names)}")
        return self._layer_names.index(name)

    def _forward(self, start: int, end: int, wanted: Iterable[str] = ()) -> None:
        """Run the layers from one index to another, both included."""
        first, last = int(start), int(end)
        self._fill_sources(self._description.layers[first : last + 1], first=False)
        program = self._program(first, last)
        inputs = {name: self.blobs[name].data.copy() for name in program.network.inputs}
        watched = {top for top in program.tops if self.blobs[top].is_watched}
        expected = (watched | set(wanted) | program.usual).intersection(program.tops)
        running = Pass(program, inputs, expected)
        for name in dict.fromkeys([*program.tops, *program.network.overwritten]):
            shape = program.network.blob_shapes[name]
            self.blobs[name].provide(shape, partial(running.value, name))

    def _fill_sources(self, layers: Iterable[NetworkLayer], first: bool) -> None:
        for layer in layers:
            if layer.type == "DummyData":
                shapes = [self.blobs[top].shape for top in layer.tops]
                for top, values in dummy_data(layer, shapes, first).items():
                    self.blobs[top].data[...] = values

    def _program(self, start: int, end: int) -> Program:
        layers = self._description.layers[start : end + 1]
        weights = {
            layer.name: tuple(parameter.current() for parameter in view.blobs)
            for layer, view in zip(self._description.layers, self.layers, strict=True)
            if view.blobs
        }
        inputs = _read_from_outside(layers)
        shapes = tuple((name, self.blobs[name].shape) for name in inputs)
        key = (start, end, shapes)
        program = self._programs.pop(key, None)
        if program is None or not _same_weights(program.weights, weights):
            self._check_phase(layers)
            network = self._description.connected(layers, dict(shapes))
            self._check_weights(network.weight_shapes)
            # Graphs with other weights would only take memory.
            self._programs = OrderedDict(
                (k, p) for k, p in self._programs.items() if _same_weights(p.weights, weights)
            )
            program = Program(network, weights)
        self._programs[key] = program
        if len(self._programs) > MAX_PROGRAMS:
            self._programs.popitem(last=False)
        return program

    def _check_phase(self, layers: Iterable[NetworkLayer]) -> None:
        if self._description.phase == "TEST":
            return
        for layer in layers:
            if layer.type == "Dropout" or (
                layer.type == "BatchNorm" and not layer.message.batch_norm_param.use_global_stats
            ):
                raise needs_caffe(f"{self._description.source}: {layer} in the TRAIN phase")

    def _check_weights(self, shapes: Mapping[str, tuple[tuple[int, ...], ...]]) -> None:
        for name, wanted in shapes.items():
            has = tuple(parameter.shape for parameter in self.params[name])
            if has != wanted:
                raise CamError(
                    f"{self._description.source}: layer {name!r} has weights of the shapes {has}; "
                    f"its input as it is now asks for {wanted}"
                )

    def reshape(self) -> None:
        """Give all blobs the shapes that follow from those of the inputs."""
        layers = self._description.layers
        inputs = {name: self.blobs[name].shape for name in self._shapes}
        network = self._description.connected(layers, inputs)
        self._check_weights(network.weight_shapes)
        for name, blob in self.blobs.items():
            blob.follow(network.blob_shapes[name])

    def forward_all(
        self, blobs: Sequence[str] | None = None, **kwargs: ArrayLike
    ) -> dict[str, Array]:
        """Run the network on any number of inputs, a batch at a time.

        Parameters
        ----------
        blobs : sequence of str, optional
            Blobs to return besides the outputs.
        **kwargs : array-like
            The network's inputs by name; the last batch is filled up with zeros.

        Returns
        -------
        dict of str to numpy.ndarray
            Each blob for all inputs, arrays of their own.
        """
        found: dict[str, list[Array]] = {name: [] for name in [*self.outputs, *(blobs or ())]}
        count = len(next(iter(kwargs.values())))  # type: ignore[arg-type]
        for batch in self._batches({name: np.asarray(values) for name, values in kwargs.items()}):
            for name, values in self.forward(blobs, **batch).items():
                found[name].extend(values.copy())
        return {name: np.asarray(values)[:count] for name, values in found.items()}

    def _batches(self, inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        size = next(iter(self.blobs.values())).num
        for first in range(0, len(next(iter(inputs.values()))), size):
            batch = {name: values[first : first + size] for name, values in inputs.items()}
            yield {
                name: np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]))])
                if len(part) < size
                else part
                for name, part in batch.items()
            }

    def copy_from(self, weights: PathLike) -> None:
        """Load the weights of the layers that the network has, by their names.

        Parameters
        ----------
        weights : path-like
            A caffemodel, or an HDF5 file.

        Raises
        ------
        CamError
            If the file cannot be read, or a layer's weights are of another shape.
        """
        self._load(_read_weights(weights), os.fspath(weights))

    def _load(self, found: Mapping[str, Blobs], source: str) -> None:
        for name, parameters in self.params.items():
            if name in found:
                shapes = [parameter.shape for parameter in parameters]
                blobs = fit_blobs(name, shapes, found[name], source, self._description.source)
                for parameter, values in zip(parameters, blobs, strict=True):
                    parameter.load(values)

    def save(self, filename: PathLike) -> None:
        """Write the weights as they are now as a caffemodel."""
        message = message_class("NetParameter")(name=self._description.message.name)
        for layer in self._description.layers:
            written = message.layer.add()
            written.CopyFrom(layer.message)
            written.bottom[:], written.top[:] = layer.bottoms, layer.tops
            written.ClearField("blobs")
        write_caffemodel(filename, CaffeModel(message, self._weights()))

    def save_hdf5(self, filename: PathLike) -> None:
        """Write the weights as they are now as Caffe's HDF5 file."""
        hdf5.write_weights(filename, self._weights())

    def load_hdf5(self, filename: PathLike) -> None:
        """Load the weights of the layers that the network has from Caffe's HDF5 file."""
        self._load(hdf5.read_weights(filename), os.fspath(filename))

    def _weights(self) -> dict[str, Blobs]:
        return {
            name: tuple(parameter.current() for parameter in parameters)
            for name, parameters in self.params.items()
        }

    def share_with(self, other: Net) -> None:
        """Take another network's weights for the layers of the same name, and keep them in common.

        Parameters
        ----------
        other : Net
            A network; what is changed in one of the two from now on is changed in both.

        Raises
        ------
        CamError
            If a layer's weights are of another shape.
        """
        for name, parameters in self.params.items():
            theirs = other.params.get(name, parameters)
            has, wanted = ([p.shape for p in each] for each in (theirs, parameters))
            if has != wanted:
                raise CamError(
                    f"layer {name!r} of {other._description.source} has weights of the shapes "
                    f"{has}; {self._description.source} asks for {wanted}"
                )
            parameters[:] = theirs

    def clear_param_diffs(self) -> None:
        """Set all gradients of weights to zero; without Caffe they are what a user wrote there."""
        for parameters in self.params.values():
            for parameter in parameters:
                parameter.diff[...] = 0

    def backward(self, *arguments: Any, **options: Any) -> NoReturn:
        """Refuse: there are no gradients without Caffe."""
        raise needs_caffe("Net.backward")

    def forward_backward_all(self, *arguments: Any, **options: Any) -> NoReturn:
        """Refuse: there are no gradients without Caffe."""
        raise needs_caffe("Net.forward_backward_all")

    def set_input_arrays(self, *arguments: Any) -> NoReturn:
        """Refuse: there are no MemoryData layers without Caffe."""
        raise needs_caffe("Net.set_input_arrays")

    def _refuse_callback(self, *arguments: Any) -> NoReturn:
        """Refuse: layers do not run one by one without Caffe."""
        raise needs_caffe("a function that is called for each layer")

    before_forward = after_forward = before_backward = after_backward = _refuse_callback


def _read_weights(path: PathLike) -> Mapping[str, Blobs]:
    if os.fspath(path).endswith(".h5"):
        return hdf5.read_weights(path)
    return read_caffemodel(path).blobs


def _read_from_outside(layers: Iterable[NetworkLayer]) -> list[str]:
    """Return the blobs that layers read and none of them has written before."""
    written: set[str] = set()
    read: dict[str, None] = {}
    for layer in layers:
        if layer.type not in SOURCES:
            read.update((blob, None) for blob in layer.bottoms if blob not in written)
            written.update(layer.tops)
    return list(read)


def _same_weights(first: Mapping[str, Blobs], second: Mapping[str, Blobs]) -> bool:
    return all(
        old is new
        for name, blobs in first.items()
        for old, new in zip(blobs, second[name], strict=True)
    )
