# SPDX-License-Identifier: Apache-2.0
"""Parameters of nodes: single values and dictionaries of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml
from launch.substitutions import Substitution, perform_text

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

_SCALARS = (bool, int, float, str)


class ParameterValue:
    """A value with a fixed type: bool, int, float or str.

    Without a type, text that comes from substitutions is read as YAML.
    """

    def __init__(self, value: Any, *, value_type: type | None = None) -> None:
        self.value = value
        self.value_type = value_type

    def evaluate(self, context: LaunchContext) -> Any:
        """Return the value; raise ValueError or TypeError where it is not of the type."""
        value, kind = self.value, self.value_type
        parts = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(part, Substitution) for part in parts):
            return _read(perform_text(context, value), kind)
        if not _is_of(value, kind):
            raise TypeError(f"value {value!r} is not {_describe(kind)}")
        return value


def evaluate_parameters(context: LaunchContext, parameters: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a dictionary of parameters with plain names and values.

    Raises ValueError or TypeError, which name the parameter, for what is no parameter value.
    """
    result: dict[str, Any] = {}
    for key, value in parameters.items():
        name = perform_text(context, key)
        value = value if isinstance(value, ParameterValue) else ParameterValue(value)
        try:
            result[name] = value.evaluate(context)
        except (TypeError, ValueError) as error:
            raise type(error)(f"parameter '{name}': {error}") from None
    return result


def _read(text: str, kind: type | None) -> Any:
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


def _is_of(value: Any, kind: type | None) -> bool:
    """Tell whether a value is of a type; None stands for any scalar and for a list of one type of them."""
    if kind is None and isinstance(value, list):
        kinds = {type(item) for item in value}
        return len(kinds) == 1 and kinds < set(_SCALARS)
    return type(value) in _SCALARS if kind is None else type(value) is kind


def _describe(kind: type | None) -> str:
    """Return a type as an error message names it."""
    return "bool, int, float, str or a list of one of these" if kind is None else kind.__name__
