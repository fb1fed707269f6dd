"""Where a network's class activation maps come from: its head, found from the graph."""

from __future__ import annotations

from dataclasses import dataclass

from cam.caffe.layers import Layer
from cam.caffe.network import Network
from cam.errors import CamError


@dataclass(frozen=True)
class Head:
    """Where a network's class activation maps come from.

    Attributes
    ----------
    last_conv : str
        The blob that the global pooling reads: (N, K, h, w), after any in-place activation.
    class_layer : str
        The inner product behind that pooling; its weights are (C, K).
    scores : str
        The blob with the class probabilities, (N, C).
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
    with the class's row of the inner product. The last such head of the graph is taken.

    Parameters
    ----------
    network : Network
        The network.
    last_conv : str, optional
        The blob (or the layer that writes it) to take instead of the pooling's bottom.
    class_layer : str, optional
        The inner product to take instead of the last one with a global pooling before it.

    Returns
    -------
    Head
        The head.

    Raises
    ------
    CamError
        If a named layer is not there, or the network has no such head.
    """
    if class_layer is None:
        candidates = [layer for layer in network.layers if layer.type == "InnerProduct"]
    else:
        candidates = [network.layer(class_layer)]
    pooled = [(layer, _pooling_before(network, layer)) for layer in candidates]
    heads = [(layer, pooling) for layer, pooling in pooled if pooling is not None]
    if heads:
        layer, pooling = heads[-1]
        blob = pooling.bottoms[0]
    elif class_layer is not None and last_conv is not None:
        layer, blob = candidates[0], ""
    else:
        which = f"layer {class_layer!r}" if class_layer else "any inner product"
        raise CamError(
            f"{network.source}: no global pooling before {which}; a class activation map is the "
            "sum of the last conv's maps with the weights of an inner product behind global "
            "average pooling, so the network needs that head (the paper, section 2)"
        )
    if last_conv is not None:
        blob = _named_blob(network, last_conv)
    if layer.type != "InnerProduct":
        raise CamError(f"{network.source}: {layer} is not an InnerProduct with class weights")
    _check_head(network, blob, layer)
    head = Head(blob, layer.name, _softmax_behind(network, layer))
    for needed in (head.last_conv, head.scores):
        if needed in network.overwritten:
            raise CamError(
                f"{network.source}: {needed!r} does not keep its values: layer "
                f"{network.overwritten[needed]!r} changes its memory in place"
            )
    return head


def _named_blob(network: Network, name: str) -> str:
    if name in network.blob_shapes:
        return name
    return network.layer(name).tops[0]


def _check_head(network: Network, blob: str, layer: Layer) -> None:
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
        if earlier.type not in ("Dropout", "Flatten", "Reshape", "Split"):
            return None
        blob = earlier.bottoms[0]
    return None


def _softmax_behind(network: Network, layer: Layer) -> str:
    for later in network.layers:
        if later.type == "Softmax" and later.bottoms[0] == layer.tops[0]:
            return later.tops[0]
    raise CamError(
        f"{network.source}: no Softmax reads {layer.tops[0]!r}; the deploy network must end in one"
    )
