"""Rewrite a public Caffe network so that it ends as `cam` reads networks, with the same scores.

The paper compares with networks that were not made for class activation maps. AlexNet and VGGnet
end in inner products on flattened maps. An inner product on maps of h×w is a convolution with a
kernel of h×w (Caffe's example *net surgery*), whose output has one pixel, and the average over one
pixel changes nothing. The class activation maps of such a network have one pixel and say nothing:
it is for ``cam saliency`` and for ``cam ilsvrc-heatmaps --method backpropagation``.

    python scripts/add_cam_head.py deploy.prototxt alexnet.caffemodel alexnet-cam
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from cam.caffe.caffemodel import Blobs, CaffeModel, write_caffemodel
from cam.caffe.layers import Layer
from cam.caffe.network import Network, load_network, load_weights
from cam.caffe.prototxt import read_prototxt, upgraded, write_prototxt
from cam.errors import CamError

COMMENT = (
    "Written by scripts/add_cam_head.py: the same scores, by a head for class activation mapping."
)


@click.command()
@click.argument("prototxt", type=click.Path(path_type=Path))
@click.argument("caffemodel", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(prototxt: Path, caffemodel: Path, output: Path) -> None:
    """Write OUTPUT.prototxt and OUTPUT.caffemodel, which end as cam reads networks."""
    try:
        model = with_cam_head(prototxt, caffemodel)
    except CamError as error:
        raise click.ClickException(str(error)) from error
    folder, name = output.parent, output.name
    write_prototxt(folder / f"{name}.prototxt", model.net, COMMENT)
    write_caffemodel(folder / f"{name}.caffemodel", model)
    click.echo(f"written to {folder / name}.prototxt and .caffemodel")


def with_cam_head(prototxt: Path, caffemodel: Path) -> CaffeModel:
    """Return a network with a head for class activation mapping, and its weights.

    Raises
    ------
    CamError
        If the network does not end in inner products.
    """
    network = load_network(prototxt)
    weights = load_weights(network, caffemodel)
    net = upgraded(read_prototxt(prototxt))
    inner_products = [layer for layer in network.layers if layer.type == "InnerProduct"]
    if not inner_products:
        raise CamError(f"{network.source} has no inner product; cam reads it as it is, or not")
    *hidden, last = inner_products
    for layer in hidden:
        message = next(message for message in net.layer if message.name == layer.name)
        weights[layer.name] = _as_convolution(network, layer, message, weights[layer.name])
    _pool_before(net, last)
    return CaffeModel(net, weights)


def _as_convolution(network: Network, layer: Layer, message: Any, blobs: Blobs) -> Blobs:
    """Make an inner product a convolution over all of its bottom; return its weights."""
    old = layer.message.inner_product_param
    bottom = network.blob_shapes[layer.bottoms[0]]
    if old.transpose or old.axis != 1 or len(bottom) not in (2, 4):
        raise CamError(f"{network.source}: {layer} cannot be written as a convolution")
    kernel = bottom[2:] or (1, 1)
    message.type = "Convolution"
    new = message.convolution_param
    new.num_output, new.bias_term = old.num_output, old.bias_term
    new.kernel_h, new.kernel_w = kernel
    message.ClearField("inner_product_param")
    matrix = np.asarray(blobs[0])
    return (matrix.reshape(len(matrix), bottom[1], *kernel), *blobs[1:])


def _pool_before(net: Any, last: Layer) -> None:
    position = next(i for i, message in enumerate(net.layer) if message.name == last.name)
    pooling = _layer_like(net, name="global_pool", type="Pooling", bottom=last.bottoms[0])
    pooling.pooling_param.pool = pooling.pooling_param.AVE
    pooling.pooling_param.global_pooling = True
    _insert(net, position, pooling)


def _layer_like(net: Any, name: str, type: str, bottom: str) -> Any:
    return net.layer[0].__class__(name=name, type=type, bottom=[bottom], top=[name])


def _insert(net: Any, position: int, layer: Any) -> None:
    """Put a layer before another, which then reads it."""
    layers = list(net.layer)
    layers[position].bottom[0] = layer.top[0]
    del net.layer[:]
    net.layer.extend([*layers[:position], layer, *layers[position:]])


if __name__ == "__main__":
    main()
