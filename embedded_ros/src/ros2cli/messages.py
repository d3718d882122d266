# SPDX-License-Identifier: Apache-2.0
"""Messages as YAML, both ways, through the methods that every message class has."""

from __future__ import annotations

import array
import importlib
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml

# "sequence<geometry_msgs/Point, 8>", "double[36]" or "string": element type, then length or bound.
_SEQUENCE = re.compile(r"sequence<(.+?)(?:, (\d+))?>")
_ARRAY = re.compile(r"(.+)\[(\d+)\]")
_TIME = "builtin_interfaces/Time"
_HEADER = "std_msgs/Header"


def get_interface(name: str, kind: str) -> type:
    """Return the class of "package/Type" or "package/KIND/Type".

    Raises ValueError where there is no such interface.
    """
    parts = name.split("/")
    if len(parts) == 2:
        parts.insert(1, kind)
    try:
        package, found_kind, type_name = parts
        if found_kind == kind:
            return getattr(importlib.import_module(f"{package}.{kind}"), type_name)
    except (AttributeError, ImportError, ValueError):
        pass
    raise ValueError(f"there is no {kind} interface '{name}'")


def fill(message: Any, values: Any, stamps: list[Callable[[Any], None]] | None = None) -> None:
    """Set fields of a message from a dictionary, as YAML gives it.

    With a list for `stamps`, a Time given as `now` and a Header given as `auto` append a setter
    for the time to it. Raises AttributeError for unknown fields, TypeError or ValueError for
    values that do not fit.
    """
    if not isinstance(values, dict):
        raise TypeError(
            f"Value '{values}' is expected to be a dictionary but is a {type(values).__name__}"
        )
    types = message.get_fields_and_field_types()
    for name, value in values.items():
        current = getattr(message, name)
        if stamps is not None and value == "now" and types[name] == _TIME:
            stamps.append(lambda stamp, name=name: setattr(message, name, stamp))
        elif stamps is not None and value == "auto" and types[name] == _HEADER:
            stamps.append(lambda stamp, header=current: setattr(header, "stamp", stamp))
        else:
            setattr(message, name, _convert(current, types[name], value, stamps))


def to_plain(
    message: Any, *, truncate: int | None = None, no_arr: bool = False, no_str: bool = False
) -> dict[str, Any]:
    """Return a message as dictionaries, lists and scalars.

    `truncate`: longest text and array; `no_arr` and `no_str` replace arrays and text by their type
    and length.
    """
    options = {"truncate": truncate, "no_arr": no_arr, "no_str": no_str}
    return {
        name: _plain(getattr(message, name), field_type, options)
        for name, field_type in message.get_fields_and_field_types().items()
    }


def to_yaml(plain: Any, flow_style: bool = False) -> str:
    """Return the result of `to_plain` as YAML text."""
    return yaml.safe_dump(
        plain,
        allow_unicode=True,
        width=sys.maxsize,
        sort_keys=False,
        default_flow_style=flow_style,
    )


def _convert(current: Any, field_type: str, value: Any, stamps: list | None) -> Any:
    """Return a YAML value as the type of a field, which its present value shows."""
    if isinstance(current, array.array):
        return array.array(current.typecode, value)
    if isinstance(current, np.ndarray):
        return np.array(value, dtype=current.dtype)
    if isinstance(current, list | tuple):
        element = _element_type(field_type)
        if "/" not in element:
            return list(value)
        cls = get_interface(element, "msg")
        return [_filled(cls(), item, stamps) for item in value]
    if hasattr(current, "get_fields_and_field_types"):
        return _filled(type(current)(), value, stamps)
    if isinstance(value, type(current)):
        return value
    if isinstance(value, dict | list):
        raise TypeError(f"Value '{value}' does not fit the type '{field_type}'")
    if isinstance(current, bytes) and isinstance(value, int):
        return bytes([value])
    return type(current)(value)


def _filled(message: Any, values: Any, stamps: list | None) -> Any:
    fill(message, values, stamps)
    return message


def _plain(value: Any, field_type: str | None, options: dict[str, Any]) -> Any:
    """Return one value of a message for YAML."""
    limit = options["truncate"]
    if isinstance(value, bytes):
        text = "".join(map(chr, value[:limit]))
        return text + "..." if len(text) < len(value) else text
    if isinstance(value, str):
        if options["no_str"]:
            return f"<string length: <{len(value)}>>"
        return value[:limit] + "..." if limit is not None and len(value) > limit else value
    if isinstance(value, list | tuple | array.array | np.ndarray):
        if options["no_arr"] and field_type is not None:
            return _abbreviation(value, field_type)
        shown = [_plain(item, None, options) for item in value[:limit]]
        return [*shown, "..."] if len(shown) < len(value) else shown
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bool | int | float):
        return value
    return to_plain(value, **options)


def _abbreviation(value: Any, field_type: str) -> str:
    """Return what stands for an array under --no-arr."""
    element = _element_type(field_type).replace("/", "/msg/")
    fixed = _ARRAY.fullmatch(field_type)
    if fixed:
        return f"<array type: {element}[{fixed[2]}]>"
    sequence = _SEQUENCE.fullmatch(field_type)
    bound = f"[{sequence[2]}]" if sequence and sequence[2] else ""
    return f"<sequence type: {element}{bound}, length: {len(value)}>"


def _element_type(field_type: str) -> str:
    """Return the type of an array's elements."""
    match = _SEQUENCE.fullmatch(field_type) or _ARRAY.fullmatch(field_type)
    return match[1] if match else field_type
