"""`caffe.proto.caffe_pb2`: Caffe's messages and enums, as the project's schema has them."""

from __future__ import annotations

from typing import Any

from cam.caffe.schema import schema_names


def __getattr__(name: str) -> Any:
    try:
        return schema_names()[name]
    except KeyError:
        raise AttributeError(f"Caffe has no message or enum {name!r}") from None


def __dir__() -> list[str]:
    return sorted(schema_names())


__all__ = sorted(schema_names())
"""For ``from caffe.proto.caffe_pb2 import *``."""
