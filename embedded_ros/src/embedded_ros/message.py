# SPDX-License-Identifier: Apache-2.0
"""Message and service classes, built from definitions to look as rosidl's generated ones do."""

from __future__ import annotations

import array
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .definitions import PLACEHOLDER, definition
from .fields import Field, make_field

_classes: dict[str, type[Message]] = {}
_lock = threading.RLock()


class Message:
    """Base of all message classes: keyword constructor, checked fields, equality."""

    __slots__ = ()
    _TYPE: ClassVar[str]
    _FIELDS: ClassVar[tuple[Field, ...]]
    _WIRE_FIELDS: ClassVar[list[tuple[str, Any]]]
    _from_wire: ClassVar[Callable[..., Any]]

    def __init__(self, **kwargs: Any) -> None:
        for field in self._FIELDS:
            value = kwargs.pop(field.name) if field.name in kwargs else field.default()
            setattr(self, field.name, value)
        if kwargs:
            raise AssertionError(f"Invalid arguments passed to constructor: {', '.join(kwargs)}")

    @classmethod
    def get_fields_and_field_types(cls) -> dict[str, str]:
        """Return the type of each field by its name, in order: {'data': 'sequence<uint8>'}."""
        return {field.name: field.type_name for field in cls._FIELDS}

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return False
        return all(
            _same(getattr(self, field.name), getattr(other, field.name)) for field in self._FIELDS
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = (f"{f.name}={_text(getattr(self, f.name))}" for f in self._FIELDS)
        package, kind, base = self._TYPE.split("/")
        return f"{package}.{kind}.{base}({', '.join(parts)})"


def message_class(name: str) -> type[Message]:
    """Return the class of a structure such as "std_msgs/msg/String", building it once."""
    with _lock:
        if name not in _classes:
            _classes[name] = _build(name)
        return _classes[name]


def service_class(name: str) -> type:
    """Return a class with Request and Response for a service such as "std_srvs/srv/SetBool"."""
    package, kind, base = name.split("/")

    def refuse(cls: type) -> None:
        raise NotImplementedError("Service classes can not be instantiated")

    members = {
        "Request": message_class(f"{name}_Request"),
        "Response": message_class(f"{name}_Response"),
        "_TYPE": name,
        "__module__": f"{package}.{kind}",
        "__new__": refuse,
    }
    return type(base, (), members)


def _build(name: str) -> type[Message]:
    package, kind, base = name.split("/")
    parts = definition(name)
    fields = tuple(
        make_field(field, desc, parts.defaults.get(field), message_class)
        for field, desc in parts.fields
        if field != PLACEHOLDER
    )
    wire = [(f"_{f.name}" if f.to_wire is None else f"_wire_{f.name}") for f in fields]
    descriptions = [desc for _, desc in parts.fields]
    members: dict[str, Any] = {
        **parts.constants,
        "__slots__": tuple(f"_{field.name}" for field in fields),
        "__module__": f"{package}.{kind}",
        "_TYPE": name,
        "_FIELDS": fields,
        "_WIRE_FIELDS": list(zip(wire or ["_nothing"], descriptions, strict=True)),
    }
    if not fields:
        members["_nothing"] = 0  # the placeholder byte of an empty structure
    for field in fields:
        members[field.name] = _property(field)
        if field.to_wire is not None:
            members[f"_wire_{field.name}"] = _wire_property(field)
    cls = type(base, (Message,), members)
    cls._from_wire = staticmethod(_wire_constructor(cls, fields))
    return cls


def _property(field: Field) -> property:
    slot, check = f"_{field.name}", field.check

    def set_value(self: Message, value: Any) -> None:
        setattr(self, slot, check(value))

    return property(lambda self: getattr(self, slot), set_value)


def _wire_property(field: Field) -> property:
    slot, convert = f"_{field.name}", field.to_wire
    return property(lambda self: convert(getattr(self, slot)))


def _wire_constructor(cls: type[Message], fields: tuple[Field, ...]) -> Callable[..., Message]:
    """Return a function that makes a message from the values that the codec read, unchecked."""
    new = cls.__new__
    steps = [(f"_{field.name}", field.from_wire) for field in fields]

    def from_wire(*values: Any) -> Message:
        message = new(cls)
        # An empty structure has no field for its placeholder byte, so the lengths may differ.
        for (slot, convert), value in zip(steps, values, strict=False):
            setattr(message, slot, value if convert is None else convert(value))
        return message

    return from_wire


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return np.array_equal(left, right)
    return bool(left == right)


def _text(value: Any) -> str:
    return repr(value.tolist()) if isinstance(value, array.array) else repr(value)
