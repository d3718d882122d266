# SPDX-License-Identifier: Apache-2.0
"""Parameters of nodes: single values, dictionaries of them and files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from launch.substitution import SomeSubstitutionsType
from launch.utilities import is_substitution, perform_text, perform_typed

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class ParameterValue:
    """A value with a fixed type: bool, int, float, str or `list[...]` of one of them.

    Without a type, text that comes from substitutions is read as YAML.
    """

    def __init__(self, value: Any, *, value_type: Any = None) -> None:
        self.value = value
        self.value_type = value_type

    def evaluate(self, context: LaunchContext) -> Any:
        """Return the value; raise ValueError or TypeError where it is not of the type."""
        return perform_typed(context, self.value, self.value_type)


class ParameterFile:
    """A YAML file with parameters."""

    def __init__(
        self, param_file: SomeSubstitutionsType | os.PathLike[str], *, allow_substs: bool = False
    ) -> None:
        if allow_substs:
            raise NotImplementedError("substitutions inside of parameter files are not supported")
        self.param_file = param_file

    def evaluate(self, context: LaunchContext) -> Path:
        """Return the file's path."""
        return Path(perform_text(context, self.param_file))


def evaluate_parameters(context: LaunchContext, parameters: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a dictionary of parameters as flat names (`a.b`) and plain values."""
    result: dict[str, Any] = {}
    for key, value in parameters.items():
        name = perform_text(context, key)
        if isinstance(value, Mapping):
            nested = evaluate_parameters(context, value)
            result.update({f"{name}.{inner}": item for inner, item in nested.items()})
        else:
            result[name] = _evaluate(context, name, value)
    return result


def _evaluate(context: LaunchContext, name: str, value: Any) -> Any:
    """Return one value: plain ones as they are, text of substitutions as YAML reads it."""
    if isinstance(value, ParameterValue):
        return value.evaluate(context)
    if is_substitution(value):
        return _from_yaml(name, perform_text(context, value))
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Sequence) and value:
        # An inner list is the text of one element, from substitutions.
        plain = [
            _from_yaml(name, perform_text(context, item))
            if isinstance(item, list | tuple)
            else item
            for item in value
        ]
        return _uniform(name, plain)
    raise TypeError(
        f"parameter '{name}' has the value {value!r}: expected bool, int, float, str or a "
        "non-empty list of one of these"
    )


def _from_yaml(name: str, text: str) -> Any:
    """Return text as YAML reads it; empty text is an empty string."""
    try:
        value = yaml.safe_load(text or "''")
    except yaml.YAMLError:
        value = None
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list) and value:
        return _uniform(name, value)
    raise TypeError(
        f"cannot read the value '{text}' of parameter '{name}' as YAML scalar or list; for a "
        "string, wrap it in launch_ros.parameter_descriptions.ParameterValue(value, value_type=str)"
    )


def _uniform(name: str, values: list[Any]) -> list[Any]:
    """Return a list whose elements have one type; ints among floats become floats."""
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        return [float(value) for value in values]
    if len(kinds) != 1 or not kinds <= {bool, int, float, str}:
        raise TypeError(f"the list of parameter '{name}' mixes types or holds no scalars: {values}")
    return values
