# SPDX-License-Identifier: Apache-2.0
"""Turning text, substitutions and lists of both into values."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any, get_args, get_origin

import yaml
from launch.substitution import SomeSubstitutionsType, Substitution

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


def normalize_to_list_of_substitutions(subject: SomeSubstitutionsType) -> list[Substitution]:
    """Return text, a substitution, a path or an iterable of these as a list of substitutions.

    A list within the list is a TypeError, as it is in ROS 2 up to Jazzy.
    """
    from launch.substitutions import TextSubstitution  # it needs this module

    def normalize(item: object) -> Substitution:
        if isinstance(item, Substitution):
            return item
        if isinstance(item, str | PathLike):
            return TextSubstitution(text=str(item))
        raise TypeError(f"expected text or a substitution, got {item!r}")

    if isinstance(subject, Iterable) and not isinstance(subject, str):
        return [normalize(item) for item in subject]
    return [normalize(subject)]


def perform_substitutions(context: LaunchContext, substitutions: Iterable[Substitution]) -> str:
    """Return the joined text of substitutions."""
    return "".join(context.perform_substitution(part) for part in substitutions)


def perform_text(context: LaunchContext, subject: SomeSubstitutionsType) -> str:
    """Return the text of anything that `normalize_to_list_of_substitutions` takes."""
    return perform_substitutions(context, normalize_to_list_of_substitutions(subject))


def is_substitution(value: Any) -> bool:
    """Tell whether a value is a substitution or a list of text with at least one in it."""
    if isinstance(value, Substitution):
        return True
    return (
        isinstance(value, list | tuple)
        and all(isinstance(item, str | Substitution) for item in value)
        and any(isinstance(item, Substitution) for item in value)
    )


def coerce_to_type(text: str, data_type: Any = None) -> Any:
    """Return a text as bool, int, float, str or list of one of these; None guesses as YAML does.

    Raises ValueError where the text does not fit.
    """
    if data_type is str or (data_type is None and not text):
        return text
    if data_type in (int, float):
        return data_type(text)
    if data_type is bool:
        text = {"0": "false", "1": "true"}.get(text, text)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"cannot read '{text}' as YAML: {error}") from None
    if not _has_type(value, data_type):
        wanted = "a scalar or a list of one type" if data_type is None else data_type
        raise ValueError(f"cannot convert '{text}' to {wanted}")
    return value


def perform_typed(context: LaunchContext, value: Any, data_type: Any) -> Any:
    """Return a plain value unchanged, and text with substitutions coerced to a type."""
    if is_substitution(value):
        return coerce_to_type(perform_text(context, value), data_type)
    if isinstance(value, list | tuple):
        item_type = get_args(data_type)[0] if get_args(data_type) else None
        return [perform_typed(context, item, item_type) for item in value]
    if data_type is float and type(value) is int:
        return float(value)
    if not _has_type(value, data_type):
        raise TypeError(f"value '{value}' is not an instance of {data_type}")
    return value


def _has_type(value: Any, data_type: Any) -> bool:
    """Tell whether a value is of a scalar type or a uniform list; None accepts any of them."""
    if data_type is None:
        if isinstance(value, list):
            kinds = {type(item) for item in value}
            return len(kinds) == 1 and kinds <= {bool, int, float, str}
        return isinstance(value, bool | int | float | str)
    if get_origin(data_type) is list:
        (item_type,) = get_args(data_type)
        return isinstance(value, list) and all(type(item) is item_type for item in value)
    return type(value) is data_type
