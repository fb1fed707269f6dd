"""A Caffe solver and its training network, read and checked before Caffe sees them.

Caffe ends the process where it finds something wrong. What a user can get wrong is therefore looked
for here, where it is an error of one line.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cam.caffe.caffemodel import CaffeModel
from cam.caffe.head import find_head
from cam.caffe.network import Network, build_network
from cam.caffe.prototxt import read_prototxt, upgraded
from cam.caffe.schema import message_class
from cam.errors import CamError, nearest_names

__all__ = [
    "TrainingJob",
    "check_initial_weights",
    "deploy_form",
    "freeze",
    "head_layers",
    "read_job",
]

LEARNING_RATE_POLICIES: Mapping[str, tuple[str, ...]] = {
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma", "stepvalue"),
    "poly": ("power", "max_iter"),
    "sigmoid": ("gamma", "stepsize"),
}
"""The policies that Caffe has, and the solver's fields that each one needs."""

SOLVER_TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")

DATA_PARAMETERS: Mapping[str, str] = {
    "Data": "data_param",
    "HDF5Data": "hdf5_data_param",
    "ImageData": "image_data_param",
}
"""The layers that read pictures and labels, and the field of each that names its source."""


@dataclass(frozen=True)
class TrainingJob:
    """A solver and its training network, checked.

    Attributes
    ----------
    source : pathlib.Path
        The solver's file.
    solver : protobuf message
        The ``SolverParameter``.
    net_source : pathlib.Path
        The training network's file.
    net : protobuf message
        The training network, a ``NetParameter`` in the ``layer`` style, of all phases.
    network : cam.caffe.network.Network
        Its training phase in deploy form, for its layers and shapes.
    losses : tuple of (str, float)
        The blobs that the loss is the sum of, and the weight of each.
    label : str
        The blob with the labels, for the losses that are softmaxes; empty if there is none.
    """

    source: Path
    solver: Any
    net_source: Path
    net: Any
    network: Network
    losses: tuple[tuple[str, float], ...]
    label: str

    @property
    def prefix(self) -> Path:
        """What the names of the snapshots begin with."""
        return Path(self.solver.snapshot_prefix)

    @property
    def classes(self) -> int:
        """How many classes the network has."""
        weights: tuple[int, ...] = self.network.weight_shapes[find_head(self.network).class_layer][
            0
        ]
        return weights[0]


def read_job(solver: str | os.PathLike[str]) -> TrainingJob:
    """Read a solver and its training network, and check both.

    As with Caffe's own tools, the paths in both files are relative to the working directory.

    Parameters
    ----------
    solver : path-like
        The solver's file.

    Returns
    -------
    TrainingJob
        What is to be trained.

    Raises
    ------
    CamError
        If a file cannot be read, the solver lacks a field that it needs, layers of the network do
        not fit each other, a source of data is missing, or the network has no head for CAM.
    """
    source = Path(solver)
    message = read_prototxt(source, "SolverParameter")
    _check_solver(message, source)
    net_source = Path(message.net or message.train_net)
    net = _read_net(net_source, source)
    network = _checked_phase(net, net_source, "TRAIN")
    test_sources = [Path(path) for path in message.test_net]
    if len(message.test_iter) > len(test_sources) and message.net:
        test_sources.append(net_source)
    for test_source in test_sources:
        _checked_phase(_read_net(test_source, source), test_source, "TEST")
    layers = list(_running(net, "TRAIN"))
    softmaxes = [layer for layer in layers if layer.type == "SoftmaxWithLoss"]
    return TrainingJob(
        source,
        message,
        net_source,
        net,
        network,
        tuple(_loss_weights(layers)),
        softmaxes[-1].bottom[1] if softmaxes else "",
    )


def _check_solver(message: Any, source: Path) -> None:
    if bool(message.net) == bool(message.train_net):
        raise CamError(f"{source}: it needs one training network, as net or as train_net")
    if message.HasField("net_param") or message.HasField("train_net_param"):
        raise CamError(f"{source}: networks inside the solver are not supported; name a file")
    if message.HasField("solver_type"):
        raise CamError(f'{source}: solver_type is the older field; write type: "SGD" or another')
    if message.type not in SOLVER_TYPES:
        raise CamError(
            f"{source}: no solver type {message.type!r}{nearest_names(message.type, SOLVER_TYPES)}"
        )
    if message.lr_policy not in LEARNING_RATE_POLICIES:
        nearest = nearest_names(message.lr_policy, LEARNING_RATE_POLICIES)
        raise CamError(
            f"{source}: lr_policy {message.lr_policy!r}{nearest}; "
            f"there are {', '.join(LEARNING_RATE_POLICIES)}"
        )
    needed = (
        "base_lr",
        "max_iter",
        "snapshot_prefix",
        *LEARNING_RATE_POLICIES[message.lr_policy],
        *(["test_interval"] if message.test_iter else []),
    )
    missing = [name for name in needed if not getattr(message, name)]
    if missing:
        raise CamError(f"{source}: {', '.join(missing)} missing")
    if min(message.max_iter, message.iter_size, message.average_loss, message.stepsize + 1) < 1:
        raise CamError(
            f"{source}: max_iter, iter_size, average_loss and stepsize count iterations "
            "and must be positive"
        )
    tests = len(message.test_iter)
    if tests < len(message.test_net) or (message.train_net and tests > len(message.test_net)):
        raise CamError(f"{source}: {tests} test_iter for {len(message.test_net)} test networks")
    if message.snapshot_format == message.DESCRIPTOR.enum_types_by_name[
        "SnapshotFormat"
    ].values_by_name["HDF5"].number and message.HasField("snapshot_format"):
        raise CamError(f"{source}: snapshot_format HDF5; a caffemodel needs BINARYPROTO")


def _read_net(path: Path, solver: Path) -> Any:
    if not path.is_file():
        raise CamError(f"{solver}: its network {path} is not there, seen from {Path.cwd()}")
    return upgraded(read_prototxt(path))


def _checked_phase(net: Any, source: Path, phase: str) -> Network:
    """Check one phase of a network; return it in deploy form."""
    for layer in _running(net, phase):
        if layer.type in DATA_PARAMETERS:
            _check_data(layer, source)
    network = build_network(deploy_form(net, phase, str(source)), str(source))
    find_head(network)
    return network


def _check_data(layer: Any, source: Path) -> None:
    where = f"{source}: layer {layer.name!r}"
    parameters = getattr(layer, DATA_PARAMETERS[layer.type])
    path = Path(parameters.source)
    if not parameters.source or not path.exists():
        raise CamError(
            f"{where}: its source {str(path)!r} is not there, seen from {Path.cwd()}; "
            "scripts/prepare_lmdb.py makes an LMDB of pictures"
        )
    if layer.type == "Data":
        lmdb = parameters.DB.Name(parameters.backend) == "LMDB"
        if lmdb and not (path / "data.mdb").is_file():
            raise CamError(f"{where}: its source {path} is not an LMDB (it has no data.mdb)")
        if not lmdb and not (path / "CURRENT").is_file():
            raise CamError(
                f"{where}: its source {path} is not a LevelDB (for an LMDB, say backend: LMDB)"
            )
    if parameters.batch_size < 1:
        raise CamError(f"{where}: batch_size must be positive")
    mean_file = layer.transform_param.mean_file
    if mean_file and not Path(mean_file).is_file():
        raise CamError(f"{where}: its mean_file {mean_file!r} is not there")


def deploy_form(net: Any, phase: str = "TEST", source: str = "prototxt") -> Any:
    """Return the deploy network of a training network.

    Parameters
    ----------
    net : protobuf message
        The training network, a ``NetParameter`` in either style.
    phase : {"TEST", "TRAIN"}, optional
        Whose layers to take.
    source : str, optional
        Where it comes from, for messages.

    Returns
    -------
    protobuf message
        A ``NetParameter`` with an input of one crop in place of the pictures' layer, a Softmax
        ``prob`` in place of the last softmax loss, and without labels, losses, accuracies,
        fillers and learning rates.

    Raises
    ------
    CamError
        If no layer gives pictures and labels, it does not say the size of its crops, or there is
        no softmax loss.
    """
    layers = list(_running(upgraded(net), phase))
    data = [layer for layer in layers if layer.type in DATA_PARAMETERS]
    if not data:
        raise CamError(
            f"{source}: no layer with data in the {phase} phase; "
            f"there are {', '.join(DATA_PARAMETERS)}"
        )
    losses = [layer for layer in layers if layer.type == "SoftmaxWithLoss"]
    if not losses:
        raise CamError(f"{source}: no SoftmaxWithLoss in the {phase} phase, so nothing is trained")
    result = message_class("NetParameter")(name=net.name)
    result.layer.add(
        name="data",
        type="Input",
        top=data[0].top[:1],
        input_param={"shape": [{"dim": [1, *_crop_shape(data[0], source)]}]},
    )
    dropped = {top for layer in data for top in layer.top} - {data[0].top[0]}
    for layer in layers:
        if layer is losses[-1]:
            result.layer.add(name="prob", type="Softmax", bottom=layer.bottom[:1], top=["prob"])
        elif layer.type in DATA_PARAMETERS or layer.type == "Silence":
            continue
        elif dropped.intersection(layer.bottom):
            dropped.update(layer.top)
        else:
            _add_for_deploy(result, layer)
    return result


def _add_for_deploy(net: Any, layer: Any) -> None:
    kept = net.layer.add()
    kept.CopyFrom(layer)
    for field in ("param", "include", "exclude", "loss_weight", "propagate_down"):
        kept.ClearField(field)
    for parameters in (kept.convolution_param, kept.inner_product_param):
        parameters.ClearField("weight_filler")
        parameters.ClearField("bias_filler")
    for field in ("convolution_param", "inner_product_param"):
        if not layer.HasField(field):
            kept.ClearField(field)


def _crop_shape(layer: Any, source: str) -> tuple[int, int, int]:
    crop = layer.transform_param.crop_size or getattr(
        getattr(layer, DATA_PARAMETERS[layer.type]), "crop_size", 0
    )
    if not crop:
        raise CamError(
            f"{source}: layer {layer.name!r}: no crop_size in its transform_param; "
            "it is the size of the network's input"
        )
    return (1 if layer.transform_param.force_gray else 3, crop, crop)


def _running(net: Any, phase: str) -> Iterator[Any]:
    """Yield the layers of a phase (``Net::FilterNet``)."""
    for layer in net.layer:
        included = any(_meets(rule, phase, net.state) for rule in layer.include)
        excluded = any(_meets(rule, phase, net.state) for rule in layer.exclude)
        if included or not (layer.include or excluded):
            yield layer


def _meets(rule: Any, phase: str, state: Any) -> bool:
    return (
        (not rule.HasField("phase") or rule.phase == _phase_number(rule, phase))
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and set(rule.stage) <= set(state.stage)
        and not set(rule.not_stage) & set(state.stage)
    )


def _phase_number(rule: Any, phase: str) -> int:
    number: int = rule.DESCRIPTOR.fields_by_name["phase"].enum_type.values_by_name[phase].number
    return number


def _loss_weights(layers: list[Any]) -> Iterator[tuple[str, float]]:
    for layer in layers:
        # Caffe gives the first top of a loss layer the weight 1, and any other top 0.
        weights = list(layer.loss_weight) or [float(layer.type.endswith("Loss"))]
        for top, weight in zip(layer.top, weights, strict=False):
            if weight:
                yield top, weight


def head_layers(network: Network) -> frozenset[str]:
    """Return the layers that `freeze` leaves to be trained: the last conv and the class layer.

    Parameters
    ----------
    network : Network
        A network with a head for CAM.

    Returns
    -------
    frozenset of str
        The names of the class layer and of the nearest layers with weights before the global
        pooling: ``CAM_conv`` and ``CAM_fc`` in the paper's networks.
    """
    head = find_head(network)
    last = max(i for i, layer in enumerate(network.layers) if head.last_conv in layer.tops)
    names, wanted = {head.class_layer}, {head.last_conv}
    for layer in reversed(network.layers[: last + 1]):
        if not wanted.intersection(layer.tops):
            continue
        wanted.difference_update(layer.tops)
        if layer.name in network.weight_shapes:
            names.add(layer.name)
        # A norm belongs to the convolution before it.
        if layer.type not in ("Convolution", "InnerProduct"):
            wanted.update(layer.bottoms)
    return frozenset(names)


def freeze(net: Any, network: Network, trained: Collection[str]) -> Any:
    """Return a training network in which only some layers learn.

    Parameters
    ----------
    net : protobuf message
        The training network in the ``layer`` style.
    network : Network
        Its layers and the shapes of their weights.
    trained : collection of str
        The layers that learn.

    Returns
    -------
    protobuf message
        The network with learning rates and decays of 0 in all other layers, and with the means and
        variances of their batch norms as they are.
    """
    result = message_class("NetParameter")()
    result.CopyFrom(net)
    for layer in result.layer:
        if layer.name in trained or layer.name not in network.weight_shapes:
            continue
        for index in range(len(network.weight_shapes[layer.name])):
            spec = layer.param[index] if index < len(layer.param) else layer.param.add()
            spec.lr_mult, spec.decay_mult = 0.0, 0.0
        if layer.type == "BatchNorm":
            layer.batch_norm_param.use_global_stats = True
    return result


def check_initial_weights(
    network: Network, model: CaffeModel, source: str, frozen: Collection[str] = ()
) -> tuple[str, ...]:
    """Check that training can begin from a caffemodel.

    Parameters
    ----------
    network : Network
        What is trained.
    model : CaffeModel
        The caffemodel.
    source : str
        Its file, for messages.
    frozen : collection of str, optional
        The layers that do not learn, and so must be in the caffemodel.

    Returns
    -------
    tuple of str
        The layers that are not in the caffemodel and start from their fillers.

    Raises
    ------
    CamError
        If weights of a layer have another shape, a frozen layer has none, or no layer has any.
    """
    fresh = tuple(name for name in network.weight_shapes if name not in model.blobs)
    if len(fresh) == len(network.weight_shapes):
        raise CamError(f"{source}: it has weights for no layer of {network.source}")
    missing = [name for name in fresh if name in frozen]
    if missing:
        raise CamError(
            f"{source}: no weights for {', '.join(missing)}, which would stay frozen as drawn"
        )
    for name, shapes in network.weight_shapes.items():
        blobs = model.blobs.get(name, ())
        if name in model.blobs and len(blobs) != len(shapes):
            raise CamError(
                f"{source}: layer {name!r} has {len(blobs)} blobs; "
                f"{network.source} asks for {len(shapes)}"
            )
        for blob, shape in zip(blobs, shapes, strict=False):
            if blob.shape not in (shape, (1,) * (4 - len(shape)) + shape):
                raise CamError(
                    f"{source}: layer {name!r} has a blob of shape {blob.shape}; {network.source} "
                    f"asks for {shape}; to train it anew, give it another name"
                )
    return fresh
