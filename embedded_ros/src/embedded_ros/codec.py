# SPDX-License-Identifier: Apache-2.0
"""CDR: rosbags' generated (de)serializers working directly on our message classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from rosbags.serde import SerdeError
from rosbags.serde.cdr import (
    generate_deserialize_cdr,
    generate_getsize_cdr,
    generate_serialize_cdr,
)

from .message import message_class

HEADER = 4  # bytes of CDR encapsulation before the data


class Layout:
    """What rosbags' generated code asks about one structure."""

    def __init__(self, name: str) -> None:
        kind = message_class(name)
        # Fields are read from the message by wire name and given back in order to `cls`.
        self.fields: list[tuple[str, Any]] = kind._WIRE_FIELDS
        self.cls: Callable[..., Any] = kind._from_wire
        self.getsize_cdr, self.size_cdr = generate_getsize_cdr(self.fields, STORE)

    @cached_property
    def serialize_cdr_le(self) -> Callable[..., int]:
        return generate_serialize_cdr(self.fields, STORE, "le")

    @cached_property
    def deserialize_cdr_le(self) -> Callable[..., tuple[Any, int]]:
        return generate_deserialize_cdr(self.fields, STORE, "le")

    @cached_property
    def deserialize_cdr_be(self) -> Callable[..., tuple[Any, int]]:
        return generate_deserialize_cdr(self.fields, STORE, "be")


class Store:
    """Hands out layouts by type name, as rosbags' own type store does."""

    max_sequence_length = 2**32 - 1

    def __init__(self) -> None:
        self._layouts: dict[str, Layout] = {}

    def get_msgdef(self, name: str) -> Layout:
        layout = self._layouts.get(name)
        if layout is None:
            layout = self._layouts[name] = Layout(name)
        return layout


STORE = Store()


def serialize(message: Any) -> bytearray:
    """Return a message as little-endian CDR with its encapsulation header."""
    layout = STORE.get_msgdef(type(message)._TYPE)
    data = bytearray(HEADER + layout.getsize_cdr(0, message, STORE))
    data[1] = 1  # little endian
    layout.serialize_cdr_le(memoryview(data)[HEADER:], 0, message, STORE)
    return data


def deserialize(data: bytes | bytearray | memoryview, kind: type) -> Any:
    """Return the message of type `kind` that CDR bytes hold; raise SerdeError on a bad one."""
    if len(data) < HEADER or data[0] != 0 or data[1] > 1:
        raise SerdeError("not CDR: unknown encapsulation")
    layout = STORE.get_msgdef(kind._TYPE)
    read = layout.deserialize_cdr_le if data[1] else layout.deserialize_cdr_be
    message, _ = read(memoryview(data)[HEADER:], 0, layout.cls, STORE)
    return message
