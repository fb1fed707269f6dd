"""What is done to a training network: its deploy form, its head, and layers that do not learn."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from cam.caffe.caffemodel import CaffeModel
from cam.caffe.head import find_head
from cam.caffe.network import Network, fit_weights
from cam.caffe.prototxt import upgraded
from cam.caffe.schema import message_class
from cam.errors import CamError

DATA_PARAMETERS: Mapping[str, str] = {
    "Data": "data_param",
    "HDF5Data": "hdf5_data_param",
    "ImageData": "image_data_param",
}
"""The layers that read pictures and labels, and the field of each that names its source."""


PHASES = ("TRAIN", "TEST")
"""Caffe's phases by their numbers."""


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
    layers = list(layers_of_phase(upgraded(net), phase))
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
    for field in ("convolution_param", "inner_product_param"):
        if layer.HasField(field):
            getattr(kept, field).ClearField("weight_filler")
            getattr(kept, field).ClearField("bias_filler")


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


def layers_of_phase(net: Any, phase: str) -> Iterator[Any]:
    """Yield the layers of a phase, as Caffe's ``Net::FilterNet`` chooses them.

    Parameters
    ----------
    net : protobuf message
        A ``NetParameter`` in the ``layer`` style.
    phase : {"TEST", "TRAIN"}
        The phase.

    Yields
    ------
    protobuf message
        Each ``LayerParameter``.
    """
    for layer in net.layer:
        included = any(_meets(rule, phase, net.state) for rule in layer.include)
        excluded = any(_meets(rule, phase, net.state) for rule in layer.exclude)
        if included or not (layer.include or excluded):
            yield layer


def _meets(rule: Any, phase: str, state: Any) -> bool:
    return (
        (not rule.HasField("phase") or PHASES[rule.phase] == phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and set(rule.stage) <= set(state.stage)
        and not set(rule.not_stage) & set(state.stage)
    )


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
) -> None:
    """Check that training can begin from a caffemodel; layers that are not in it may be drawn.

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

    Raises
    ------
    CamError
        If weights of a layer have another shape, a frozen layer has none, or no layer has any.
    """
    shapes = network.weight_shapes
    shared = {name: shapes[name] for name in shapes if name in model.blobs}
    if not shared:
        raise CamError(f"{source}: it has weights for no layer of {network.source}")
    missing = [name for name in shapes if name in frozen and name not in shared]
    if missing:
        raise CamError(
            f"{source}: no weights for {', '.join(missing)}, which would stay frozen as drawn"
        )
    try:
        fit_weights(replace(network, weight_shapes=shared), model, source)
    except CamError as error:
        raise CamError(f"{error}; to train it anew, give it another name") from error
