# SPDX-License-Identifier: Apache-2.0
"""Messages as YAML, both ways, through what every message class says of its fields."""

from __future__ import annotations

import array
import importlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml
from rosidl_parser.definition import AbstractNestedType, Array, BasicType, NamespacedType


def get_interface(name: str, kind: str) -> type:
    """Return the class of "package/Type" or "package/KIND/Type"; kind is "msg" or "srv".

    Raises RuntimeError where there is no such interface.
    """
    try:
        package, *middle, base = name.split("/")
        if middle in ([], [kind]):
            return getattr(importlib.import_module(f"{package}.{kind}"), base)
    except (AttributeError, ImportError, TypeError, ValueError):
        pass
    raise RuntimeError(f"The passed {'message' if kind == 'msg' else 'service'} type '{name}' is invalid")


def from_yaml(message_type: type, text: str | None) -> Any:
    """Return a message with the fields that YAML text gives.

    Raises RuntimeError for text that is no dictionary, and where a field is unknown or does not fit.
    """
    try:
        values = yaml.safe_load(text or "{}")
    except yaml.YAMLError as error:
        raise RuntimeError(f"The passed value is not YAML: {error}") from None
    if not isinstance(values, dict):
        raise RuntimeError("The passed value needs to be a dictionary in YAML format")
    try:
        return _filled(message_type(check_fields=True), values)
    except (AssertionError, AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise RuntimeError(f"Failed to populate field: {error}") from None


def _filled(message: Any, values: Any) -> Any:
    if not isinstance(values, dict):
        raise TypeError(f"Value '{values}' is expected to be a dictionary")
    types = dict(zip(message.get_fields_and_field_types(), message.SLOT_TYPES, strict=True))
    for name, value in values.items():
        if name not in types:
            raise AttributeError(f"'{type(message).__name__}' has no field '{name}'")
        setattr(message, name, _value(types[name], value))
    return message


def _value(slot: Any, value: Any) -> Any:
    """Return a YAML value as a field of a type takes it; the field itself checks the rest."""
    if isinstance(slot, NamespacedType):
        return _filled(get_interface("/".join(slot.namespaced_name()), "msg")(check_fields=True), value)
    if isinstance(slot, AbstractNestedType):
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError(f"Value '{value}' is expected to be a list")
        elements = [_value(slot.value_type, element) for element in value]
        return np.array(elements) if isinstance(slot, Array) and _is_number(slot.value_type) else elements
    if not isinstance(slot, BasicType):
        return value if isinstance(value, str) else str(value)
    if slot.typename == "octet":
        return bytes([value])
    return float(value) if slot.typename in ("float", "double") else value


def _is_number(slot: Any) -> bool:
    return isinstance(slot, BasicType) and slot.typename not in ("boolean", "octet")


def to_yaml(message: Any, longest: int | None = None) -> str:
    """Return a message as YAML text; what is longer than `longest` of a text or an array is left out."""
    plain = _plain(message, longest)
    return yaml.safe_dump(plain, allow_unicode=True, width=sys.maxsize, sort_keys=False)


def _plain(value: Any, longest: int | None) -> Any:
    """Return a message or one of its values as dictionaries, lists and scalars."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: _plain(getattr(value, name), longest) for name in value.get_fields_and_field_types()}
    if isinstance(value, bytes):
        return int.from_bytes(value)
    if isinstance(value, str):
        return value if longest is None or len(value) <= longest else f"{value[:longest]}..."
    if isinstance(value, list | tuple | array.array | np.ndarray):
        shown = [_plain(item, longest) for item in value[:longest]]
        return [*shown, "..."] if len(shown) < len(value) else shown
    return value.item() if isinstance(value, np.generic) else value
