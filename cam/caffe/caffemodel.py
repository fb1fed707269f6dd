"""Caffemodel files: a network's weights, read and written without Caffe.

A caffemodel is a network in protobuf's binary format. Its weights, nearly all of its bytes, are not
parsed: they are found in the file and mapped into memory, so that a large model is never there
twice.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from cam.caffe.schema import message_class
from cam.errors import CamError
from cam.files import PathLike, open_regular, write_bytes

Blobs = tuple[NDArray[np.float32], ...]
"""The weights of one layer."""

MAX_BLOB_AXES = 32
"""Caffe's own limit (``kMaxBlobAxes``)."""


@dataclass(frozen=True, eq=False)
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


def read_caffemodel(path: PathLike) -> CaffeModel:
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
    with open_regular(source, "the caffemodel") as file:
        if not os.fstat(file.fileno()).st_size:
            raise CamError(f"{source}: the file is empty")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        model = _parse_caffemodel(data)
    except _WireError as error:
        raise CamError(f"{source}: truncated, or not a caffemodel ({error})") from error
    except DecodeError as error:
        raise CamError(f"{source}: not a caffemodel ({error})") from error
    if not (model.net.layer or model.net.layers):
        raise CamError(f"{source}: not a caffemodel (it holds no layers)")
    return model


def write_caffemodel(path: PathLike, model: CaffeModel) -> None:
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
    write_bytes(path, net.SerializeToString(deterministic=True))


def _set_blob(blob: Any, array: NDArray[np.float32]) -> None:
    if not _has_legacy_shape(blob):
        blob.shape.dim[:] = array.shape
    payload = np.ascontiguousarray(array, "<f4").tobytes()
    # As bytes: filling the repeated field number by number takes a hundred times as long.
    key = _varint(_BLOB_DATA << 3 | _LENGTH_DELIMITED)
    blob.MergeFromString(key + _varint(len(payload)) + payload)


# protobuf's binary format: each field is a key (number << 3 | wire type) and a value.
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_NET_LAYERS, _NET_LAYER = 2, 100
_LAYERS = {(_NET_LAYERS, _LENGTH_DELIMITED), (_NET_LAYER, _LENGTH_DELIMITED)}
_BLOBS = {_NET_LAYERS: (6, _LENGTH_DELIMITED), _NET_LAYER: (7, _LENGTH_DELIMITED)}
_BLOB_DATA, _BLOB_DOUBLE_DATA = 5, 8
_NUMBERS = {(_BLOB_DATA, _LENGTH_DELIMITED), (_BLOB_DATA, _FIXED32)}
_NUMBERS |= {(_BLOB_DOUBLE_DATA, _LENGTH_DELIMITED), (_BLOB_DOUBLE_DATA, _FIXED64)}
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}


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

    @property
    def kind(self) -> tuple[int, int]:
        """The number and the wire type."""
        return self.number, self.wire_type


def _parse_caffemodel(data: mmap.mmap) -> CaffeModel:
    net = message_class("NetParameter")()
    blobs: dict[str, Blobs] = {}
    whole = _Field(0, _LENGTH_DELIMITED, 0, 0, len(data))
    for field in _parse_but(_LAYERS, data, whole, net):
        layer = (net.layers if field.number == _NET_LAYERS else net.layer).add()
        arrays = _parse_layer(data, field, layer)
        if arrays:
            blobs[layer.name] = arrays
    return CaffeModel(net, blobs)


def _parse_but(
    kinds: Container[tuple[int, int]], data: mmap.mmap, whole: _Field, message: Any
) -> list[_Field]:
    """Parse the message in a field, but for its fields of some kinds, and return these.

    A kind is a number and a wire type: to protobuf, what has another wire type is a field that the
    schema does not know.
    """
    fields = list(_fields(data, whole.value, whole.end))
    rest = [data[one.start : one.end] for one in fields if one.kind not in kinds]
    message.MergeFromString(b"".join(rest))
    return [one for one in fields if one.kind in kinds]


def _parse_layer(data: mmap.mmap, layer_field: _Field, layer: Any) -> Blobs:
    blob_fields = _parse_but([_BLOBS[layer_field.number]], data, layer_field, layer)
    return tuple(
        _parse_blob(data, field, layer.blobs.add(), f"layer {layer.name!r}, blob {index}")
        for index, field in enumerate(blob_fields)
    )


def _parse_blob(data: mmap.mmap, blob_field: _Field, blob: Any, where: str) -> NDArray[np.float32]:
    fields = _parse_but(_NUMBERS, data, blob_field, blob)
    parts = [_numbers(data, field) for field in fields]
    # Caffe writes all numbers in one packed field; other writers may repeat it.
    values = parts[0] if len(parts) == 1 else np.concatenate(parts or [np.zeros(0, np.float32)])
    shape = _blob_shape(blob)
    if len(shape) > MAX_BLOB_AXES or math.prod(shape) != values.size or min(shape, default=0) < 0:
        raise _WireError(f"{where} has {values.size} numbers for a shape of {list(shape)}")
    return values.astype(np.float32, copy=False).reshape(shape)


def _numbers(data: mmap.mmap, field: _Field) -> NDArray[Any]:
    item = np.dtype("<f4" if field.number == _BLOB_DATA else "<f8")
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
        elif wire_type in _FIXED_BYTES:
            end = value + _FIXED_BYTES[wire_type]
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
