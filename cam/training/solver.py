"""A Caffe solver and its training network, read and checked before Caffe sees them.

Caffe ends the process where it finds something wrong. What a user can get wrong is therefore looked
for here, where it is an error of one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cam.caffe.head import find_head
from cam.caffe.network import Network, build_network
from cam.caffe.prototxt import read_prototxt, upgraded
from cam.errors import CamError, nearest_names
from cam.files import PathLike
from cam.training.networks import DATA_PARAMETERS, deploy_form, layers_of_phase

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


@dataclass(frozen=True, eq=False)
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
        return self.network.blob_shapes[find_head(self.network).scores][1]


def read_job(solver: PathLike) -> TrainingJob:
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
    _raise_first(str(source), _solver_faults(message))
    net_source = Path(message.net or message.train_net)
    net, network = _checked_phase(net_source, source, "TRAIN")
    test_sources = [Path(path) for path in message.test_net]
    if len(message.test_iter) > len(test_sources) and message.net:
        test_sources.append(net_source)
    for test_source in test_sources:
        _checked_phase(test_source, source, "TEST")
    layers = list(layers_of_phase(net, "TRAIN"))
    labels = [layer.bottom[1] for layer in layers if layer.type == "SoftmaxWithLoss"]
    losses = tuple(_loss_weights(layers))
    return TrainingJob(source, message, net_source, net, network, losses, (labels or [""])[-1])


def _raise_first(where: str, faults: Iterable[str]) -> None:
    for fault in faults:
        raise CamError(f"{where}: {fault}")


def _solver_faults(solver: Any) -> Iterator[str]:
    """Yield what Caffe would end the process for, or what `cam.training.training` cannot do."""
    if bool(solver.net) == bool(solver.train_net):
        yield "it needs one training network, as net or as train_net"
    if solver.HasField("net_param") or solver.HasField("train_net_param"):
        yield "networks inside the solver are not supported; name a file"
    if solver.HasField("solver_type"):
        yield 'solver_type is the older field; write type: "SGD" or another'
    if solver.type not in SOLVER_TYPES:
        yield f"no solver type {solver.type!r}{nearest_names(solver.type, SOLVER_TYPES)}"
    policy = solver.lr_policy
    if policy not in LEARNING_RATE_POLICIES:
        nearest = nearest_names(policy, LEARNING_RATE_POLICIES)
        yield f"lr_policy {policy!r}{nearest}; there are {', '.join(LEARNING_RATE_POLICIES)}"
    needed = ["base_lr", "max_iter", "snapshot_prefix", *LEARNING_RATE_POLICIES[policy]]
    needed += ["test_interval"] if solver.test_iter else []
    missing = [name for name in needed if not getattr(solver, name)]
    if missing:
        yield f"{', '.join(missing)} missing"
    if min(solver.max_iter, solver.iter_size, solver.average_loss, solver.stepsize + 1) < 1:
        yield "max_iter, iter_size, average_loss and stepsize count iterations and must be positive"
    tests, test_nets = len(solver.test_iter), len(solver.test_net)
    if tests < test_nets or (solver.train_net and tests > test_nets):
        yield f"{tests} test_iter for {test_nets} test networks"
    if solver.SnapshotFormat.Name(solver.snapshot_format) == "HDF5":
        yield "snapshot_format HDF5; a caffemodel needs BINARYPROTO"


def _checked_phase(source: Path, solver: Path, phase: str) -> tuple[Any, Network]:
    """Read a training network and check one phase; return both, the phase in deploy form."""
    if not source.is_file():
        raise CamError(f"{solver}: its network {source} is not there, seen from {Path.cwd()}")
    net = upgraded(read_prototxt(source))
    for layer in layers_of_phase(net, phase):
        if layer.type in DATA_PARAMETERS:
            _raise_first(f"{source}: layer {layer.name!r}", _data_faults(layer))
    network = build_network(deploy_form(net, phase, str(source)), str(source))
    find_head(network)
    return net, network


def _data_faults(layer: Any) -> Iterator[str]:
    """Yield what is wrong with a layer that reads pictures and labels."""
    parameters = getattr(layer, DATA_PARAMETERS[layer.type])
    path = Path(parameters.source)
    if not parameters.source or not path.exists():
        yield (
            f"its source {str(path)!r} is not there, seen from {Path.cwd()}; "
            "scripts/prepare_lmdb.py makes an LMDB of pictures"
        )
    if layer.type == "Data":
        lmdb = parameters.DB.Name(parameters.backend) == "LMDB"
        if lmdb and not (path / "data.mdb").is_file():
            yield f"its source {path} is not an LMDB (it has no data.mdb)"
        if not lmdb and not (path / "CURRENT").is_file():
            yield f"its source {path} is not a LevelDB (for an LMDB, say backend: LMDB)"
    if parameters.batch_size < 1:
        yield "batch_size must be positive"
    mean_file = layer.transform_param.mean_file
    if mean_file and not Path(mean_file).is_file():
        yield f"its mean_file {mean_file!r} is not there"


def _loss_weights(layers: Sequence[Any]) -> Iterator[tuple[str, float]]:
    for layer in layers:
        # Caffe gives the first top of a loss layer the weight 1, and any other top 0.
        weights = list(layer.loss_weight) or [float(layer.type.endswith("Loss"))]
        for top, weight in zip(layer.top, weights, strict=False):
            if weight:
                yield top, weight
