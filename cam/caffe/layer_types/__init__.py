"""The layer types that can be run: for each, its shapes by Caffe's rule and its arithmetic."""

from collections.abc import Mapping

from cam.caffe.layer_types import cutting, elementwise, joining, measuring, spatial
from cam.caffe.layers import Layer, LayerType, Shape, ShapeError, Shapes
from cam.errors import nearest_names

__all__ = ["LAYER_TYPES", "layer_shapes"]

LAYER_TYPES: Mapping[str, LayerType] = {
    **spatial.TYPES,
    **elementwise.TYPES,
    **joining.TYPES,
    **cutting.TYPES,
    **measuring.TYPES,
}


def layer_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    """Return the shapes of what a layer writes and of its weights.

    Parameters
    ----------
    layer : Layer
        The layer.
    bottoms : list of tuple of int
        The shapes of what it reads.

    Returns
    -------
    tops : list of tuple of int
        The shape of each top.
    weights : tuple of tuple of int
        The shape of each blob of weights; empty if it has none.

    Raises
    ------
    ShapeError
        If the type is not known, or its parameters or bottoms are not what Caffe takes.
    """
    if layer.type not in LAYER_TYPES:
        raise ShapeError(f"this type cannot be run{nearest_names(layer.type, LAYER_TYPES)}")
    layer_type = LAYER_TYPES[layer.type]
    fewest, most = layer_type.bottoms
    if not fewest <= len(bottoms) <= most:
        raise ShapeError(f"{len(bottoms)} bottoms")
    return layer_type.shapes(layer, bottoms)
