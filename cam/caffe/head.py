"""Where a network's class activation maps come from: its head, found from the graph."""

from __future__ import annotations

from dataclasses import dataclass

from cam.caffe.layers import Layer
from cam.caffe.network import Network, build_network
from cam.caffe.prototxt import upgraded
from cam.errors import CamError

_SAME_VALUES = frozenset({"Dropout", "Flatten", "Reshape", "Split"})
"""The types that leave the values of what they read alone, in the test phase."""

_POINTWISE = frozenset({"BatchNorm", "Bias", "Dropout", "ELU", "PReLU", "Power", "ReLU", "Scale"})
"""The types behind a convolution that still give one map for each of its outputs."""


@dataclass(frozen=True)
class Head:
    """Where a network's class activation maps come from.

    Attributes
    ----------
    last_conv : str
        The blob that the global pooling reads: (N, K, h, w), after any in-place activation.
    class_layer : str
        The layer whose output is the class scores before the softmax: the inner product behind
        that pooling, with weights (C, K); or the pooling itself, where each of the last
        convolution's maps is a class's.
    scores : str
        The blob with the class probabilities, (N, C) or (N, C, 1, 1).
    """

    last_conv: str
    class_layer: str
    scores: str


def find_head(
    network: Network, last_conv: str | None = None, class_layer: str | None = None
) -> Head:
    """Find the blobs of a network that class activation mapping needs.

    CAM (section 2 of the paper) is defined for networks that end in a convolution, a global
    pooling and one inner product: the map of a class is the sum of the convolution's maps weighted
    with the class's row of the inner product. Where the pooling stands straight before the
    softmax, as in Network in Network and SqueezeNet, the convolution has one map for each class,
    and that is the class's. The last such head of the graph is taken.

    Parameters
    ----------
    network : Network
        The network.
    last_conv : str, optional
        The blob (or the layer that writes it) to take instead of the pooling's bottom.
    class_layer : str, optional
        The inner product to take instead of the last one with a global pooling before it, or the
        pooling of the other kind of head.

    Returns
    -------
    Head
        The head.

    Raises
    ------
    CamError
        If a named layer is not there, or the network has no such head.
    """
    layer, pooling = _class_layer(network, class_layer, last_conv)
    blob = "" if pooling is None else pooling.bottoms[0]
    if last_conv is not None:
        blob = _named_blob(network, last_conv)
    if layer.type == "InnerProduct":
        _check_weights(network, blob, layer)
    elif pooling is None or blob != pooling.bottoms[0]:
        raise CamError(f"{network.source}: {layer} is not an InnerProduct with class weights")
    scores = _softmax_behind(network, layer)
    if scores is None:
        raise CamError(
            f"{network.source}: no Softmax reads {layer.tops[0]!r}; the deploy network must end in "
            "one"
        )
    for needed in (blob, scores):
        if needed in network.overwritten:
            raise CamError(
                f"{network.source}: {needed!r} does not keep its values: layer "
                f"{network.overwritten[needed]!r} changes its memory in place"
            )
    return Head(blob, layer.name, scores)


def with_softmax(
    network: Network, last_conv: str | None = None, class_layer: str | None = None
) -> Network:
    """Return a network that ends in a softmax, one appended if its file ends in class scores.

    Parameters
    ----------
    network : Network
        The network.
    last_conv, class_layer : str, optional
        As for `find_head`.

    Returns
    -------
    Network
        The same network if it has a softmax, or its class scores go elsewhere.
    """
    try:
        layer, _ = _class_layer(network, class_layer, last_conv)
    except CamError:
        # What is wrong with the network is for `find_head` to say.
        return network
    if _readers(network, layer):
        return network
    name = "prob"
    while name in network.blob_shapes or any(other.name == name for other in network.layers):
        name += "_"
    net = upgraded(network.message)
    net.layer.add(name=name, type="Softmax", bottom=[layer.tops[0]], top=[name])
    return build_network(net, network.source)


def _class_layer(
    network: Network, named: str | None, last_conv: str | None
) -> tuple[Layer, Layer | None]:
    """Return the layer that gives the class scores, and the global pooling that they come from."""
    candidates = network.layers if named is None else (network.layer(named),)
    heads = [
        (layer, pooling)
        for layer in candidates
        if (pooling := _pooling_of(network, layer)) is not None
    ]
    if heads:
        return heads[-1]
    if named is not None and (last_conv is not None or candidates[0].type != "InnerProduct"):
        return candidates[0], None
    which = f"layer {named!r}" if named else "any inner product"
    raise CamError(
        f"{network.source}: no global pooling before {which}, nor one behind a convolution with a "
        "map for each class; a class activation map is the sum of the last conv's maps with the "
        "weights of an inner product behind global average pooling, so the network needs that head "
        "(the paper, section 2)"
    )


def _pooling_of(network: Network, layer: Layer) -> Layer | None:
    """Return the global pooling of the head whose class scores a layer gives, if it is one."""
    if layer.type == "InnerProduct":
        return _pooling_before(network, layer)
    is_head = (
        layer.type == "Pooling"
        and network.blob_shapes[layer.tops[0]][2:] == (1, 1)
        and _is_of_convolution(network, layer)
        and all(reader.type == "Softmax" for reader in _readers(network, layer))
    )
    return layer if is_head else None


def _is_of_convolution(network: Network, pooling: Layer) -> bool:
    """Tell whether a pooling reads a convolution's maps, one for each of its outputs."""
    blob = pooling.bottoms[0]
    for earlier in reversed(network.layers[: network.layers.index(pooling)]):
        if blob in earlier.tops:
            if earlier.type not in _POINTWISE:
                return earlier.type == "Convolution"
            blob = earlier.bottoms[0]
    return False


def _readers(network: Network, layer: Layer) -> list[Layer]:
    """Return the layers that do something with a layer's output, unchanged or in another shape."""
    blobs, readers = set(layer.tops), []
    for later in network.layers[network.layers.index(layer) + 1 :]:
        if not blobs.intersection(later.bottoms):
            continue
        if later.type in _SAME_VALUES:
            blobs.update(later.tops)
        else:
            readers.append(later)
    return readers


def _softmax_behind(network: Network, layer: Layer) -> str | None:
    for reader in _readers(network, layer):
        if reader.type == "Softmax":
            return reader.tops[0]
    return None


def _named_blob(network: Network, name: str) -> str:
    if name in network.blob_shapes:
        return name
    layer = network.layer(name)
    if not layer.tops:
        raise CamError(f"{network.source}: {layer} writes no blob that could have maps")
    return layer.tops[0]


def _check_weights(network: Network, blob: str, layer: Layer) -> None:
    maps = network.blob_shapes[blob]
    classes, features = network.weight_shapes[layer.name][0]
    if len(maps) != 4:
        raise CamError(f"{network.source}: blob {blob!r} has shape {maps}, not (N, K, h, w)")
    if maps[1] != features or layer.message.inner_product_param.transpose:
        raise CamError(
            f"{network.source}: {layer} has weights of shape ({classes}, {features}); "
            f"CAM needs (C, {maps[1]}), one weight for each map of {blob!r}"
        )


def _pooling_before(network: Network, layer: Layer) -> Layer | None:
    """Return the global pooling that a layer reads, through layers that leave its values alone."""
    position = network.layers.index(layer)
    blob = layer.bottoms[0]
    for earlier in reversed(network.layers[:position]):
        if blob not in earlier.tops:
            continue
        if earlier.type == "Pooling":
            return earlier if network.blob_shapes[blob][2:] == (1, 1) else None
        if earlier.type not in _SAME_VALUES:
            return None
        blob = earlier.bottoms[0]
    return None
