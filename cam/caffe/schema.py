"""Message classes for Caffe's files, made at run time from ``caffe.proto``.

A generated ``caffe_pb2.py`` runs only with the protobuf releases that its generator allows. Here
the descriptors are built through protobuf's public API instead, which has been the same from 3.20
on, and live in a pool of their own, so that pycaffe's messages can be loaded beside them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

_OPENING = re.compile(r"(message|enum) (\w+) \{(.*)")
_ENUM_NAME = re.compile(r"^\s*enum (\w+) ", re.MULTILINE)
_FIELD = re.compile(r"(optional|repeated) (\w+) (\w+) = (\d+)(?: \[(default|packed) = (.+)\])?;")
_ENUM_VALUE = re.compile(r"(\w+) = (\d+);")

_FieldProto = descriptor_pb2.FieldDescriptorProto
_SCALAR_TYPES = {
    "bool": _FieldProto.TYPE_BOOL,
    "bytes": _FieldProto.TYPE_BYTES,
    "double": _FieldProto.TYPE_DOUBLE,
    "float": _FieldProto.TYPE_FLOAT,
    "int32": _FieldProto.TYPE_INT32,
    "int64": _FieldProto.TYPE_INT64,
    "string": _FieldProto.TYPE_STRING,
    "uint32": _FieldProto.TYPE_UINT32,
}
_LABELS = {"optional": _FieldProto.LABEL_OPTIONAL, "repeated": _FieldProto.LABEL_REPEATED}


def message_class(name: str) -> Any:
    """Return the class of one of Caffe's messages.

    Parameters
    ----------
    name : str
        The message's name in ``caffe.proto``, such as ``"NetParameter"``.

    Returns
    -------
    type
        A protobuf message class.

    Examples
    --------
    >>> net = message_class("NetParameter")(name="GoogleNet")
    >>> net.layer.add(name="prob", type="Softmax").name
    'prob'
    """
    return _message_classes()[name]


def schema_names() -> dict[str, Any]:
    """Return what a generated ``caffe_pb2`` would hold.

    Returns
    -------
    dict of str to object
        The class of each message, each enum that stands outside of messages, and its values.

    Examples
    --------
    >>> names = schema_names()
    >>> names["TEST"], names["PoolingParameter"].AVE, names["Phase"].Name(0)
    (1, 1, 'TRAIN')
    """
    classes = _message_classes()
    names: dict[str, Any] = dict(classes)
    for name, enum in classes["NetParameter"].DESCRIPTOR.file.enum_types_by_name.items():
        names[name] = EnumTypeWrapper(enum)
        names.update((value.name, value.number) for value in enum.values)
    return names


@lru_cache(maxsize=1)
def _message_classes() -> Mapping[str, Any]:
    schema = Path(__file__).with_name("caffe.proto").read_text(encoding="utf-8")
    file = parse_schema(schema, "cam/caffe/caffe.proto")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptors = [pool.FindMessageTypeByName(f"caffe.{each.name}") for each in file.message_type]
    if hasattr(message_factory, "GetMessageClass"):
        make_class = message_factory.GetMessageClass
    else:
        # protobuf 3.20 and 4.21 have only the older way in.
        make_class = message_factory.MessageFactory(pool).GetPrototype
    # All of them are kept: protobuf 4.22 to 4.24 crashes where the class of a message that lies
    # in another has been collected.
    return {descriptor.name: make_class(descriptor) for descriptor in descriptors}


def parse_schema(schema: str, file_name: str) -> descriptor_pb2.FileDescriptorProto:
    """Read the subset of proto2 that ``caffe.proto`` is written in.

    One declaration a line; only the values of an enum may share a line.

    Parameters
    ----------
    schema : str
        The text of the schema.
    file_name : str
        The name that the descriptor gets.

    Returns
    -------
    FileDescriptorProto
        Its messages, enums and fields. Where a named type stands is left for protobuf to find.

    Raises
    ------
    ValueError
        At a line that is none of the subset's declarations.
    """
    file = descriptor_pb2.FileDescriptorProto(name=file_name, package="caffe", syntax="proto2")
    enums = set(_ENUM_NAME.findall(schema))
    open_blocks: list[Any] = [file]
    for line in (line.strip() for line in schema.splitlines()):
        if not line or line.startswith(("//", "syntax ", "package ")):
            continue
        block = open_blocks[-1]
        if opening := _OPENING.fullmatch(line):
            open_blocks.append(_add_block(block, opening[1], opening[2]))
            _add_enum_values(open_blocks[-1], opening[3])
            if opening[3].endswith("}"):
                open_blocks.pop()
        elif field := _FIELD.fullmatch(line):
            _add_field(block, enums, field)
        elif _ENUM_VALUE.fullmatch(line):
            _add_enum_values(block, line)
        elif line == "}":
            open_blocks.pop()
        else:
            raise ValueError(f"{file_name}: cannot read the declaration {line!r}")
    return file


def _add_block(parent: Any, kind: str, name: str) -> Any:
    if kind == "enum":
        return parent.enum_type.add(name=name)
    is_file = isinstance(parent, descriptor_pb2.FileDescriptorProto)
    return (parent.message_type if is_file else parent.nested_type).add(name=name)


def _add_enum_values(enum: Any, text: str) -> None:
    for name, number in _ENUM_VALUE.findall(text):
        enum.value.add(name=name, number=int(number))


def _add_field(message: Any, enums: Collection[str], declaration: re.Match[str]) -> None:
    label, type_name, name, number, option, value = declaration.groups()
    field = message.field.add(name=name, number=int(number), label=_LABELS[label])
    if type_name in _SCALAR_TYPES:
        field.type = _SCALAR_TYPES[type_name]
    else:
        # protobuf 4.21 does not find out by itself whether a named type is an enum.
        field.type = _FieldProto.TYPE_ENUM if type_name in enums else _FieldProto.TYPE_MESSAGE
        field.type_name = type_name
    if option == "packed":
        field.options.packed = value == "true"
    elif option == "default":
        field.default_value = value.strip('"')
