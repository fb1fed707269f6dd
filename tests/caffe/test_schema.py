"""The project's schema of Caffe's messages against Caffe's own."""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from locations import SHARED

from cam.caffe.schema import message_class, parse_schema

_Field = descriptor_pb2.FieldDescriptorProto
TYPE_NAMES = {
    _Field.TYPE_BOOL: "bool",
    _Field.TYPE_BYTES: "bytes",
    _Field.TYPE_DOUBLE: "double",
    _Field.TYPE_FLOAT: "float",
    _Field.TYPE_INT32: "int32",
    _Field.TYPE_INT64: "int64",
    _Field.TYPE_STRING: "string",
    _Field.TYPE_UINT32: "uint32",
}

LEFT_OUT_MESSAGES = {"V0LayerParameter"}
"""The message of the format before `layers`."""

LEFT_OUT = {("V1LayerParameter", "layer")}
"""The field that holds the format before `layers`, whose message is left out."""


@dataclass(frozen=True)
class Field:
    """What a schema says of a field: enums by their values, so that where they stand is free."""

    number: int
    label: str
    type: str
    default: str | None
    packed: bool
    enum_values: tuple[tuple[str, int], ...] = ()


Schema = dict[str, dict[str, Field]]


def ours() -> Schema:
    """Return the fields of the project's messages, from its descriptors."""
    net = message_class("NetParameter").DESCRIPTOR
    return {name: _described(each) for name, each in net.file.message_types_by_name.items()}


def _described(message: Any) -> dict[str, Field]:
    proto = descriptor_pb2.DescriptorProto()
    message.CopyToProto(proto)
    return {
        field.name: Field(
            field.number,
            {1: "optional", 2: "required", 3: "repeated"}[field.label],
            TYPE_NAMES.get(field.type, field.type_name.rpartition(".")[2]),
            _plain(field.default_value) if field.HasField("default_value") else None,
            field.options.packed,
            _values_of(message.fields_by_name[field.name].enum_type),
        )
        for field in proto.field
    }


def _values_of(enum: Any) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((v.name, v.number) for v in enum.values)) if enum else ()


def _plain(default: str) -> str:
    """Write defaults that are the same single-precision number in the same way."""
    try:
        return str(np.float32(default))
    except ValueError:
        return default.strip("\"'")


def caffes(text: str) -> Schema:
    """Return the fields of Caffe's schema, read by a few regular expressions from its text."""
    text = re.sub(r"//[^\n]*", "", text)
    enums: dict[tuple[str, ...], tuple[tuple[str, int], ...]] = {}
    fields: list[tuple[tuple[str, ...], str, re.Match[str]]] = []
    scope: list[str] = []
    declaration = re.compile(
        r"(?P<enum>enum\s+(\w+)\s*\{(?P<values>[^}]*)\})"
        r"|message\s+(?P<message>\w+)\s*\{"
        r"|(?P<label>optional|required|repeated)\s+(?P<type>\w+)\s+(?P<name>\w+)\s*=\s*"
        r"(?P<number>\d+)\s*(\[(?P<options>[^\]]*)\])?\s*;"
        r"|(?P<end>\})"
    )
    for found in declaration.finditer(text):
        if found["enum"]:
            values = re.findall(r"(\w+)\s*=\s*(\d+)", found["values"])
            enums[(*scope, found[2])] = tuple(sorted((name, int(n)) for name, n in values))
        elif found["message"]:
            scope.append(found["message"])
        elif found["end"]:
            scope.pop()
        else:
            fields.append((tuple(scope), found["name"], found))
    schema: Schema = {}
    for where, name, found in fields:
        options = dict(re.findall(r"(\w+)\s*=\s*(\"[^\"]*\"|[^,\s]+)", found["options"] or ""))
        default = options.get("default")
        candidates = [(*where[:depth], found["type"]) for depth in range(len(where), -1, -1)]
        schema.setdefault(where[0], {})[name] = Field(
            int(found["number"]),
            found["label"],
            found["type"],
            None if default is None else _plain(default),
            options.get("packed") == "true",
            next((enums[each] for each in candidates if each in enums), ()),
        )
    return schema


@pytest.fixture(scope="module")
def caffe_schema() -> Schema:
    """Return the schema of the Caffe release whose sources are at hand, or skip."""
    archives = sorted((SHARED / "sources").glob("caffe*.tar.gz"))
    if not archives:
        pytest.skip("Caffe's source archive (../shared/sources) is not here")
    with tarfile.open(archives[0]) as archive:
        member = next(m for m in archive if m.name.endswith("src/caffe/proto/caffe.proto"))
        file = archive.extractfile(member)
        assert file is not None
        return caffes(file.read().decode("utf-8"))


def test_every_message_but_the_oldest_layers_is_there(caffe_schema: Schema) -> None:
    assert set(ours()) == set(caffe_schema) - LEFT_OUT_MESSAGES


@pytest.mark.parametrize("message", sorted(ours()))
def test_fields_have_caffes_names_numbers_types_and_defaults(
    message: str, caffe_schema: Schema
) -> None:
    expected = {
        name: field
        for name, field in caffe_schema[message].items()
        if (message, name) not in LEFT_OUT
    }
    if message == "ClipParameter":
        # Required in Caffe; optional here, so that half a message can be read and reported.
        expected = {
            name: Field(field.number, "optional", field.type, field.default, field.packed)
            for name, field in expected.items()
        }
    assert ours()[message] == expected


@pytest.mark.caffe
@pytest.mark.parametrize("message", sorted(ours()))
def test_fields_are_those_of_the_caffe_that_is_installed(message: str, pycaffe: Any) -> None:
    from caffe.proto import caffe_pb2

    theirs = _described(getattr(caffe_pb2, message).DESCRIPTOR)
    expected = {name: each for name, each in theirs.items() if (message, name) not in LEFT_OUT}
    if message == "ClipParameter":
        expected = {
            name: Field(each.number, "optional", each.type, each.default, each.packed)
            for name, each in expected.items()
        }
    assert ours()[message] == expected


def test_defaults_are_read_as_values() -> None:
    layer = message_class("LayerParameter")()
    assert layer.lrn_param.beta == 0.75
    assert layer.inner_product_param.bias_term is True
    assert layer.exp_param.base == -1
    assert layer.window_data_param.crop_mode == "warp"
    assert layer.image_data_param.root_folder == ""
    assert layer.pooling_param.PoolMethod.Name(layer.pooling_param.pool) == "MAX"


def test_one_class_is_made_for_each_message() -> None:
    assert message_class("LayerParameter") is message_class("LayerParameter")
    assert isinstance(message_class("NetParameter")().layer.add(), message_class("LayerParameter"))


@pytest.mark.caffe
def test_pycaffes_messages_live_beside_the_projects(pycaffe: Any) -> None:
    from caffe.proto import caffe_pb2

    net = message_class("NetParameter")(name="both")
    assert caffe_pb2.NetParameter.FromString(net.SerializeToString()).name == "both"


@pytest.mark.parametrize(
    "line",
    [
        "optional int32 number",
        "required int32 number = 1;",
        "optional map<string, string> table = 1;",
        "reserved 4;",
        "service Caffe {",
    ],
)
def test_a_schema_beyond_the_subset_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"x\.proto: cannot read the declaration"):
        parse_schema(f"message Net {{\n  {line}\n}}", "x.proto")


def test_the_subset_is_read() -> None:
    file = parse_schema(
        'syntax = "proto2";\npackage caffe;\n// a comment\n'
        "enum Kind { A = 0; B = 2; }\n"
        "message Net {\n"
        "  enum Inner {\n    C = 1;\n  }\n"
        '  optional string name = 1 [default = "x"];\n'
        "  repeated float data = 5 [packed = true];\n"
        "  optional Kind kind = 3 [default = B];\n"
        "}\n",
        "x.proto",
    )
    assert [(v.name, v.number) for v in file.enum_type[0].value] == [("A", 0), ("B", 2)]
    (net,) = file.message_type
    assert [each.name for each in net.enum_type] == ["Inner"]
    assert [(f.name, f.number, f.default_value, f.options.packed) for f in net.field] == [
        ("name", 1, "x", False),
        ("data", 5, "", True),
        ("kind", 3, "B", False),
    ]
