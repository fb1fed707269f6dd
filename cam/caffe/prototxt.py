"""Prototxt files, in either of Caffe's styles: networks and solvers in protobuf's text format."""

from __future__ import annotations

from typing import Any

from google.protobuf import text_format

from cam.caffe.schema import message_class
from cam.errors import CamError, nearest_names
from cam.files import PathLike, read_text, write_text

MAX_PROTOTXT_BYTES = 16 * 2**20


def read_prototxt(path: PathLike, message: str = "NetParameter") -> Any:
    """Read a ``.prototxt`` file in either of Caffe's styles.

    Parameters
    ----------
    path : path-like
        The file.
    message : str, optional
        What the file holds: ``"NetParameter"`` or ``"SolverParameter"``.

    Returns
    -------
    protobuf message
        The file's content in its own style: ``layers`` are not turned into ``layer``.

    Raises
    ------
    CamError
        If the file is missing, too large, not text, or says something that Caffe's schema does
        not have; the message names the line and, for a misspelt field, the nearest names.
    """
    text = read_text(path, "the prototxt", MAX_PROTOTXT_BYTES)
    return parse_prototxt(text, str(path), message)


def parse_prototxt(text: str, source: str = "prototxt", message: str = "NetParameter") -> Any:
    """Parse the text of a prototxt.

    Parameters
    ----------
    text : str
        The text.
    source : str, optional
        Where the text comes from, for error messages.
    message : str, optional
        The message that the text describes.

    Returns
    -------
    protobuf message
        The content.

    Raises
    ------
    CamError
        If the text does not follow the schema.

    Examples
    --------
    >>> parse_prototxt('name: "tiny" layer { name: "prob" type: "Softmax" }').layer[0].type
    'Softmax'
    >>> parse_prototxt('layr { }', 'tiny.prototxt')
    Traceback (most recent call last):
    cam.errors.CamError: tiny.prototxt, line 1: Caffe has no field "layr" here; nearest: layer, layers
    """  # noqa: E501
    parsed = message_class(message)()
    try:
        text_format.Parse(text, parsed)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise CamError(_text_error(error, source)) from error
    return parsed


def _text_error(error: Exception, source: str) -> str:
    reason = " ".join(str(error).split())
    line = getattr(error, "GetLine", lambda: None)()
    where = f"{source}, line {line}" if line else source
    # protobuf writes '1:6 : Message type "caffe.X" has no field named "y".'
    if " has no field named " in reason:
        message = reason.partition('Message type "caffe.')[2].partition('"')[0]
        field = reason.partition('has no field named "')[2].partition('"')[0]
        known = [f.name for f in message_class(message.split(".")[0]).DESCRIPTOR.fields]
        return f'{where}: Caffe has no field "{field}" here{nearest_names(field, known)}'
    detail = reason.partition(" : ")[2] or reason
    return f"{where}: {detail.rstrip('.')}"


def format_prototxt(message: Any) -> str:
    """Return a message as the text of a prototxt.

    Parameters
    ----------
    message : protobuf message
        A network or a solver.

    Returns
    -------
    str
        Text that `parse_prototxt` reads back to the same message.
    """
    # In the schema's order, not the numbers': names first, and the input before the layers.
    return str(text_format.MessageToString(message, use_index_order=True))


def write_prototxt(path: PathLike, message: Any, comment: str = "") -> None:
    """Write a network or a solver as a prototxt.

    Parameters
    ----------
    path : path-like
        The file to write; it appears complete or not at all.
    message : protobuf message
        What to write.
    comment : str, optional
        Lines to put at the top of the file, each behind a ``#``.
    """
    header = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    write_text(path, header + format_prototxt(message))


def upgraded(net: Any) -> Any:
    """Return a network in the ``layer`` style, as Caffe does on loading the older one.

    Parameters
    ----------
    net : protobuf message
        A ``NetParameter`` in either style.

    Returns
    -------
    protobuf message
        A ``NetParameter`` whose layers are all ``layer``, with types as strings and learning
        rates and decays as ``param``. The weights are not looked at.
    """
    result = message_class("NetParameter")()
    result.CopyFrom(net)
    del result.layers[:]
    for old in net.layers:
        _upgrade_layer(old, result.layer.add())
    return result


LAYER_TYPES = {
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "DATA": "Data",
    "ELTWISE": "Eltwise",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
"""The names of layer types that are not the capitalised words of their enum's name."""


def layer_type_name(enum_name: str) -> str:
    """Return the string type of a layer for the name of its older enum type.

    Parameters
    ----------
    enum_name : str
        A name of ``V1LayerParameter.LayerType``.

    Returns
    -------
    str
        The type as the ``layer`` style writes it.

    Examples
    --------
    >>> layer_type_name("INNER_PRODUCT"), layer_type_name("LRN")
    ('InnerProduct', 'LRN')
    """
    return LAYER_TYPES.get(enum_name) or "".join(w.capitalize() for w in enum_name.split("_"))


def _upgrade_layer(old: Any, new: Any) -> None:
    changed = ("type", "param", "blob_share_mode", "blobs_lr", "weight_decay")
    same = {field.name: value for field, value in old.ListFields() if field.name not in changed}
    new.MergeFrom(type(new)(**same))
    enum = old.DESCRIPTOR.fields_by_name["type"].enum_type
    new.type = layer_type_name(enum.values_by_number[old.type].name)
    for index in range(max(len(old.param), len(old.blobs_lr), len(old.weight_decay))):
        spec = new.param.add()
        if index < len(old.param):
            spec.name = old.param[index]
        if index < len(old.blobs_lr):
            spec.lr_mult = old.blobs_lr[index]
        if index < len(old.weight_decay):
            spec.decay_mult = old.weight_decay[index]
