# SPDX-License-Identifier: Apache-2.0
"""Fields of message classes: what may be assigned, the default, and the form on the wire.

The rules and the wording of errors follow the classes that rosidl generates.
"""

from __future__ import annotations

import array
import math
from collections import UserList, UserString
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from rosbags.interfaces import Nodetype

INTEGERS = {
    f"{sign}int{bits}": (0 if sign else -(2 ** (bits - 1)), 2 ** (bits - (not sign)) - 1)
    for bits in (8, 16, 32, 64)
    for sign in ("u", "")
}
FLOATS = {"float32": 3.402823466e38, "float64": 1.7976931348623157e308}
TYPECODES = {
    "int8": "b", "int16": "h", "int32": "i", "int64": "q", "float32": "f",
    "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q", "float64": "d",
}  # fmt: skip
TOO_LONG = (
    "The '{name}' field must be a set or sequence with length <= {size} and each value of type "
    "'{what}'"
)
IDL_NAMES = {"float32": "float", "float64": "double", "bool": "boolean", "byte": "octet"}


class Field(NamedTuple):
    """One field of a message class."""

    name: str
    type_name: str  # as get_fields_and_field_types() gives it
    check: Callable[[Any], Any]  # returns what is stored; AssertionError names the field
    default: Callable[[], Any]
    to_wire: Callable[[Any], Any] | None = None  # None: the stored value is the wire value
    from_wire: Callable[[Any], Any] | None = None


def make_field(name: str, desc: Any, default: Any, nested: Callable[[str], type]) -> Field:
    """Return the field for a rosbags field description; `nested` finds other message classes."""
    if desc[0] == Nodetype.BASE:
        return _scalar(name, *desc[1], default)
    if desc[0] == Nodetype.NAME:
        kind = nested(desc[1])
        return Field(name, _idl_name(desc), _is_message(name, kind), kind)
    element, size = desc[1]
    fixed = desc[0] == Nodetype.ARRAY
    limit = f", {size}" if size else ""
    inner = _idl_name(element)
    type_name = f"{inner}[{size}]" if fixed else f"sequence<{inner}{limit}>"
    if element[0] == Nodetype.BASE and element[1][0] in TYPECODES:
        make = _fixed_numbers if fixed else _numbers
        return make(name, type_name, element[1][0], size, default)
    return _list(name, type_name, element, size, fixed, default, nested)


def _idl_name(desc: Any) -> str:
    if desc[0] == Nodetype.NAME:
        package, _, base = desc[1].split("/")
        return f"{package}/{base}"
    base, limit = desc[1]
    return f"{base}<{limit}>" if limit else IDL_NAMES.get(base, base)


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def _is_message(name: str, kind: type) -> Callable[[Any], Any]:
    text = f"The '{name}' field must be a sub message of type '{kind.__name__}'"

    def check(value: Any) -> Any:
        _require(isinstance(value, kind), text)
        return value

    return check


def _checker(name: str, base: str, limit: int) -> Callable[[Any], Any]:
    """Return the check of one primitive value."""
    if base == "bool":
        kinds: tuple[type, ...] = (bool,)
    elif base == "string":
        kinds = (str,)
    elif base == "byte":
        kinds = (bytes,)
    else:
        kinds = (int,) if base in INTEGERS else (float,)
    wrong = f"The '{name}' field must be of type '{kinds[0].__name__}'"
    low, high = INTEGERS.get(base, (0, 0))
    largest = FLOATS.get(base, math.inf)
    sign = "an unsigned" if low == 0 else "an"

    def check(value: Any) -> Any:
        _require(isinstance(value, kinds), wrong)
        if base in INTEGERS and not low <= value <= high:
            raise AssertionError(f"The '{name}' field must be {sign} integer in [{low}, {high}]")
        if base in FLOATS and abs(value) > largest and not math.isinf(value):
            raise AssertionError(f"The '{name}' field must be a {base} value")
        if base == "byte" and len(value) != 1:
            raise AssertionError(f"The '{name}' field must be of type 'bytes' with length 1")
        if limit and len(value) > limit:
            raise AssertionError(f"The '{name}' field must be string with at most {limit} letters")
        return value

    return check


def _zero(base: str) -> Any:
    return {"bool": False, "string": "", "byte": b"\0"}.get(base, 0.0 if base in FLOATS else 0)


def _scalar(name: str, base: str, limit: int, default: Any) -> Field:
    value = _zero(base) if default is None else default
    if base in FLOATS:
        value = float(value)
    field = Field(name, _idl_name((1, (base, limit))), _checker(name, base, limit), lambda: value)
    if base == "byte":
        # rosbags packs a byte as a signed number.
        return field._replace(
            to_wire=lambda v: int.from_bytes(v, "little", signed=True),
            from_wire=lambda v: bytes([v & 0xFF]),
        )
    return field


def _numbers(name: str, type_name: str, base: str, limit: int, default: Any) -> Field:
    """Return the field of a sequence of numbers: stored as array.array, which numpy can view."""
    code = TYPECODES[base]
    one = _checker(name, base, 0)

    def check(value: Any) -> array.array[Any]:
        if isinstance(value, array.array):
            _require(value.typecode == code, f"The '{name}' array.array() must have the type "
                     f"code of '{code}'")  # fmt: skip
        elif isinstance(value, np.ndarray):
            value = _from_numpy(name, value, base, code)
        elif isinstance(value, (bytes, bytearray, memoryview)) and code in "bB":
            value = array.array(code, bytes(value))
        else:
            _require_sequence(name, value, base)
            for item in value:
                one(item)
            value = array.array(code, value)
        if limit and len(value) > limit:
            raise AssertionError(TOO_LONG.format(name=name, size=limit, what=base))
        return value

    def from_wire(value: np.ndarray) -> array.array[Any]:
        result = array.array(code)
        result.frombytes(value.view(np.uint8))
        return result

    start = list(default or [])
    return Field(name, type_name, check, lambda: array.array(code, start),
                 lambda v: np.asarray(v, dtype=base), from_wire)  # fmt: skip


def _from_numpy(name: str, value: np.ndarray, base: str, code: str) -> array.array[Any]:
    _require(value.dtype == base, f"The '{name}' field must be a numpy array of dtype '{base}'")
    result = array.array(code)
    result.frombytes(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    return result


def _fixed_numbers(name: str, type_name: str, base: str, size: int, default: Any) -> Field:
    """Return the field of a fixed array of numbers: stored as numpy."""
    one = _checker(name, base, 0)

    def check(value: Any) -> np.ndarray:
        if isinstance(value, np.ndarray):
            _require(value.dtype == base, f"The '{name}' numpy.ndarray() must have the dtype of "
                     f"'numpy.{base}'")  # fmt: skip
            _require(value.size == size, f"The '{name}' numpy.ndarray() must have a size of {size}")
            return np.ascontiguousarray(value).reshape(-1)
        _require_sequence(name, value, base)
        for item in value:
            one(item)
        _require(len(value) == size, f"The '{name}' field must be a sequence with length {size}")
        return np.array(list(value), dtype=base)

    start = np.zeros(size, base) if default is None else np.array(default, base)
    return Field(name, type_name, check, start.copy, None, np.ndarray.copy)


def _list(
    name: str, type_name: str, element: Any, size: int, fixed: bool, default: Any,
    nested: Callable[[str], type],
) -> Field:  # fmt: skip
    """Return the field of messages, strings, booleans or bytes in a sequence or array: a list."""
    if element[0] == Nodetype.NAME:
        kind = nested(element[1])
        one, what, zero = _is_message(name, kind), kind.__name__, kind
        to_wire = from_wire = None
    else:
        base, limit = element[1]
        one, what = _checker(name, base, limit), {"string": "str"}.get(base, base)
        zero = partial(_zero, base)
        to_wire, from_wire = LIST_WIRES.get(base, (None, None))

    def check(value: Any) -> Any:
        _require_sequence(name, value, what)
        for item in value:
            try:
                one(item)
            except AssertionError:
                _require_sequence(name, None, what)
        if fixed and len(value) != size:
            raise AssertionError(f"The '{name}' field must be a set or sequence with length {size}")
        if size and len(value) > size:
            raise AssertionError(TOO_LONG.format(name=name, size=size, what=what))
        return value

    count = size if fixed else 0
    start = (lambda: list(default)) if default else (lambda: [zero() for _ in range(count)])
    return Field(name, type_name, check, start, to_wire, from_wire)


LIST_WIRES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "bool": (lambda v: np.array(v, dtype=np.bool_), lambda v: v.tolist()),
    "byte": (
        lambda v: np.frombuffer(b"".join(v), np.uint8),
        lambda v: [bytes([b]) for b in v.view(np.uint8)],
    ),
}


def _require_sequence(name: str, value: Any, what: str) -> None:
    ok = isinstance(value, (Sequence, AbstractSet, UserList))
    ok = ok and not isinstance(value, (str, UserString))
    _require(ok, f"The '{name}' field must be a set or sequence and each value of type '{what}'")
