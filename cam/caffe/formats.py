"""Caffe's network, solver and weights files, read and written without Caffe.

A ``.prototxt`` is protobuf's text format, a ``.caffemodel`` its binary format, of the messages in
``caffe.proto``. A caffemodel's weights, nearly all of its bytes, are not parsed: they are found in
the file and mapped into memory, so that a large model is never there twice.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from cam.caffe.schema import message_class
from cam.errors import CamError, nearest_names
from cam.files import atomic_path

__all__ = [
    "CaffeModel",
    "format_prototxt",
    "parse_prototxt",
    "read_caffemodel",
    "read_prototxt",
    "upgraded",
    "write_caffemodel",
    "write_prototxt",
]

Blobs = tuple[NDArray[np.float32], ...]

MAX_PROTOTXT_BYTES = 16 * 2**20
MAX_BLOB_AXES = 32
"""Caffe's own limit (``kMaxBlobAxes``)."""


def read_prototxt(path: str | os.PathLike[str], message: str = "NetParameter") -> Any:
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
    source = Path(path)
    try:
        if source.stat().st_size > MAX_PROTOTXT_BYTES:
            raise CamError(f"{source}: over {MAX_PROTOTXT_BYTES} bytes, too large for a prototxt")
        text = source.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CamError(f"cannot read {source}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CamError(f"{source}: not a prototxt, but binary, or text not in UTF-8") from error
    return parse_prototxt(text, str(source), message)


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


def write_prototxt(path: str | os.PathLike[str], message: Any, comment: str = "") -> None:
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
    with atomic_path(path) as temporary:
        temporary.write_text(header + format_prototxt(message), encoding="utf-8")


@dataclass(frozen=True)
class CaffeModel:
    """The content of a caffemodel.

    Attributes
    ----------
    net : protobuf message
        A ``NetParameter`` with everything but the weights: the layers' blobs have their shapes
        and no data. Fields that the schema does not know are in it and are written back.
    blobs : dict of str to tuple of numpy.ndarray
        The weights of each layer that has any, by the layer's name, float32. Read from a file,
        they are read-only views of the mapped file.
    """

    net: Any
    blobs: Mapping[str, Blobs]


def read_caffemodel(path: str | os.PathLike[str]) -> CaffeModel:
    """Read a caffemodel in either of Caffe's styles, its weights as views of the file.

    Legacy blobs (``num/channels/height/width``) and those with a ``shape`` are both understood.

    Parameters
    ----------
    path : path-like
        The file. It must not be changed while the arrays are in use.

    Returns
    -------
    CaffeModel
        The network's description and its weights.

    Raises
    ------
    CamError
        If the file is missing, empty, truncated or not a caffemodel, or if a blob's data does not
        fit its shape.
    """
    source = Path(path)
    try:
        with source.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise CamError(f"cannot read {source}: {error.strerror}") from error
    except ValueError as error:
        raise CamError(f"{source}: the file is empty") from error
    try:
        model = _parse_caffemodel(data)
    except _WireError as error:
        raise CamError(f"{source}: truncated, or not a caffemodel ({error})") from error
    except DecodeError as error:
        raise CamError(f"{source}: not a caffemodel ({error})") from error
    if not (model.net.layer or model.net.layers):
        raise CamError(f"{source}: not a caffemodel (it holds no layers)")
    return model


def write_caffemodel(path: str | os.PathLike[str], model: CaffeModel) -> None:
    """Write a caffemodel.

    The same model gives the same bytes each time.

    Parameters
    ----------
    path : path-like
        The file to write; it appears complete or not at all.
    model : CaffeModel
        The network and its weights. Layers keep their style; each blob is written with a
        ``shape``, as Caffe 1.0 does, or with the legacy fields where `model.net` has those.
    """
    net = message_class("NetParameter")()
    net.CopyFrom(model.net)
    for layer in [*net.layers, *net.layer]:
        described = list(layer.blobs)
        del layer.blobs[:]
        for index, array in enumerate(model.blobs.get(layer.name, ())):
            blob = layer.blobs.add()
            if index < len(described):
                blob.CopyFrom(described[index])
            _set_blob(blob, array)
    with atomic_path(path) as temporary:
        temporary.write_bytes(net.SerializeToString(deterministic=True))


def _set_blob(blob: Any, array: NDArray[np.float32]) -> None:
    if not _has_legacy_shape(blob):
        blob.shape.dim[:] = array.shape
    payload = np.ascontiguousarray(array, "<f4").tobytes()
    # As bytes: filling the repeated field number by number takes a hundred times as long.
    key = _varint(_BLOB_DATA << 3 | _LENGTH_DELIMITED)
    blob.MergeFromString(key + _varint(len(payload)) + payload)


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
    for field, value in old.ListFields():
        if field.name in ("type", "param", "blob_share_mode", "blobs_lr", "weight_decay", "blobs"):
            continue
        _copy_field(new, field.name, value)
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
    for blob in old.blobs:
        new.blobs.add().CopyFrom(blob)


def _copy_field(message: Any, name: str, value: Any) -> None:
    if hasattr(value, "CopyFrom"):
        getattr(message, name).CopyFrom(value)
    elif isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        setattr(message, name, value)
    else:
        getattr(message, name).extend(value)


# protobuf's binary format: each field is a key (number << 3 | wire type) and a value.
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_NET_LAYERS, _NET_LAYER = 2, 100
_LAYER_BLOBS = {_NET_LAYERS: 6, _NET_LAYER: 7}
_BLOB_DATA, _BLOB_DOUBLE_DATA = 5, 8
_LAYER_CLASSES = {_NET_LAYERS: "V1LayerParameter", _NET_LAYER: "LayerParameter"}


class _WireError(Exception):
    """The bytes are not protobuf's binary format, or end too early."""


@dataclass(frozen=True)
class _Field:
    number: int
    wire_type: int
    start: int
    """Where the field's key begins."""
    value: int
    """Where its value begins, behind the length if it has one."""
    end: int


def _parse_caffemodel(data: mmap.mmap) -> CaffeModel:
    net = message_class("NetParameter")()
    blobs: dict[str, Blobs] = {}
    rest = bytearray()
    for field in _fields(data, 0, len(data)):
        if field.number in _LAYER_CLASSES and field.wire_type == _LENGTH_DELIMITED:
            layers = net.layers if field.number == _NET_LAYERS else net.layer
            layer = layers.add()
            arrays = _parse_layer(data, field, layer)
            if arrays:
                blobs[layer.name] = arrays
        else:
            rest += data[field.start : field.end]
    net.MergeFromString(bytes(rest))
    return CaffeModel(net, blobs)


def _parse_layer(data: mmap.mmap, layer_field: _Field, layer: Any) -> Blobs:
    rest = bytearray()
    blob_fields = []
    for field in _fields(data, layer_field.value, layer_field.end):
        if field.number == _LAYER_BLOBS[layer_field.number]:
            blob_fields.append(field)
        else:
            rest += data[field.start : field.end]
    layer.MergeFromString(bytes(rest))
    return tuple(
        _parse_blob(data, field, layer.blobs.add(), f"layer {layer.name!r}, blob {index}")
        for index, field in enumerate(blob_fields)
    )


def _parse_blob(data: mmap.mmap, blob_field: _Field, blob: Any, where: str) -> NDArray[np.float32]:
    rest = bytearray()
    parts = []
    for field in _fields(data, blob_field.value, blob_field.end):
        if field.number in (_BLOB_DATA, _BLOB_DOUBLE_DATA):
            parts.append(_numbers(data, field))
        else:
            rest += data[field.start : field.end]
    blob.MergeFromString(bytes(rest))
    # Caffe writes all numbers in one packed field; other writers may repeat it.
    values = parts[0] if len(parts) == 1 else np.concatenate(parts or [np.zeros(0, np.float32)])
    shape = _blob_shape(blob)
    if len(shape) > MAX_BLOB_AXES or math.prod(shape) != values.size or min(shape, default=0) < 0:
        raise _WireError(f"{where} has {values.size} numbers for a shape of {list(shape)}")
    return values.astype(np.float32, copy=False).reshape(shape)


def _numbers(data: mmap.mmap, field: _Field) -> NDArray[Any]:
    single = field.number == _BLOB_DATA
    item = np.dtype("<f4" if single else "<f8")
    if field.wire_type not in (_LENGTH_DELIMITED, _FIXED32 if single else _FIXED64):
        raise _WireError(f"blob data of wire type {field.wire_type} at byte {field.start}")
    count, remainder = divmod(field.end - field.value, item.itemsize)
    if remainder:
        raise _WireError(f"blob data of {field.end - field.value} bytes at byte {field.start}")
    return np.frombuffer(data, item, count, field.value) if count else np.zeros(0, item)


def _has_legacy_shape(blob: Any) -> bool:
    return any(blob.HasField(name) for name in ("num", "channels", "height", "width"))


def _blob_shape(blob: Any) -> tuple[int, ...]:
    if _has_legacy_shape(blob):
        return (blob.num, blob.channels, blob.height, blob.width)
    return tuple(blob.shape.dim)


def _fields(data: mmap.mmap, start: int, stop: int) -> Iterator[_Field]:
    position = start
    while position < stop:
        key, value = _read_varint(data, position, stop)
        number, wire_type = key >> 3, key & 7
        if wire_type == _VARINT:
            _, end = _read_varint(data, value, stop)
        elif wire_type == _FIXED64:
            end = value + 8
        elif wire_type == _FIXED32:
            end = value + 4
        elif wire_type == _LENGTH_DELIMITED:
            length, value = _read_varint(data, value, stop)
            end = value + length
        else:
            raise _WireError(f"no field can begin at byte {position}")
        if end > stop or not number:
            raise _WireError(f"the field at byte {position} does not end where its message does")
        yield _Field(number, wire_type, position, value, end)
        position = end


def _read_varint(data: mmap.mmap, position: int, stop: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if position >= stop:
            raise _WireError(f"it ends at byte {position}, inside a number")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
    raise _WireError(f"a number of over ten bytes at byte {position - 10}")


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
