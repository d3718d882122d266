# SPDX-License-Identifier: Apache-2.0
"""Parameters of nodes: single values and dictionaries of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args, get_origin

import yaml
from launch.substitutions import Substitution, perform_text

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

_SCALARS = (bool, int, float, str)


class ParameterValue:
    """A value with a fixed type: bool, int, float, str or `list[...]` of one of them.

    Without a type, text that comes from substitutions is read as YAML.
    """

    def __init__(self, value: Any, *, value_type: Any = None) -> None:
        self.value = value
        self.value_type = value_type

    def evaluate(self, context: LaunchContext) -> Any:
        """Return the value; raise ValueError or TypeError where it is not of the type."""
        value, kind = self.value, self.value_type
        if _has_substitution(value):
            return _read(perform_text(context, value), kind)
        if isinstance(value, list | tuple):
            # An inner list is the text of one element, from substitutions.
            item_kind = get_args(kind)[0] if get_args(kind) else None
            value = [
                _read(perform_text(context, item), item_kind) if isinstance(item, list | tuple) else item
                for item in value
            ]
            if {type(item) for item in value} == {int, float}:
                value = [float(item) for item in value]
        if kind is float and type(value) is int:
            value = float(value)
        if not _is_of(value, kind):
            raise TypeError(f"value {value!r} is not {_describe(kind)}")
        return value


def evaluate_parameters(context: LaunchContext, parameters: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a dictionary of parameters as flat names (`a.b`) and plain values.

    Raises ValueError or TypeError, which name the parameter, for what is no parameter value.
    """
    result: dict[str, Any] = {}
    for key, value in parameters.items():
        name = perform_text(context, key)
        if isinstance(value, Mapping):
            nested = evaluate_parameters(context, value)
            result.update({f"{name}.{inner}": item for inner, item in nested.items()})
            continue
        value = value if isinstance(value, ParameterValue) else ParameterValue(value)
        try:
            result[name] = value.evaluate(context)
        except (TypeError, ValueError) as error:
            raise type(error)(f"parameter '{name}': {error}") from None
    return result


def _has_substitution(value: Any) -> bool:
    """Tell whether a value is a substitution or a list of text with at least one in it."""
    parts = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(part, str | Substitution) for part in parts) and any(
        isinstance(part, Substitution) for part in parts
    )


def _read(text: str, kind: Any) -> Any:
    """Return a text as a type; None guesses as YAML does. Raises ValueError where it does not fit."""
    if kind is str or not (text or kind):
        return text
    if kind in (int, float):
        return kind(text)
    if kind is bool:
        text = {"0": "false", "1": "true"}.get(text, text)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    if not _is_of(value, kind):
        hint = "; for a string, wrap it in ParameterValue(value, value_type=str)" if kind is None else ""
        raise ValueError(f"cannot read '{text}' as {_describe(kind)}{hint}")
    return value


def _is_of(value: Any, kind: Any) -> bool:
    """Tell whether a value is of a scalar type or a uniform list; None accepts any of them."""
    if isinstance(value, list) and (kind is None or get_origin(kind) is list):
        items = {type(item) for item in value}
        return items == set(get_args(kind)) or (kind is None and len(items) == 1 and items < set(_SCALARS))
    return type(value) in _SCALARS if kind is None else type(value) is kind


def _describe(kind: Any) -> str:
    """Return a type as an error message names it."""
    if kind is None:
        return "bool, int, float, str or a list of one of these"
    return kind.__name__ if isinstance(kind, type) else str(kind)
