# SPDX-License-Identifier: Apache-2.0
"""Text that is known only when the launch runs: arguments and paths."""

from __future__ import annotations

import os
from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class Substitution:
    """Text that is computed from the context when the action that holds it is executed."""

    def describe(self) -> str:
        """Return a short text for `--show-args`."""
        return type(self).__name__

    def perform(self, context: LaunchContext) -> str:
        """Return the text."""
        raise NotImplementedError


SomeSubstitutionsType = Union[str, Substitution, Iterable[Union[str, Substitution]]]  # noqa: UP007


class TextSubstitution(Substitution):
    """Plain text."""

    def __init__(self, *, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"TextSubstitution expects text, got {text!r}")
        self.text = text

    def describe(self) -> str:
        """Return the text in quotes."""
        return f"'{self.text}'"

    def perform(self, context: LaunchContext) -> str:
        """Return the text."""
        return self.text


class LaunchConfiguration(Substitution):
    """The value of a launch argument or of another launch configuration."""

    def __init__(
        self, variable_name: SomeSubstitutionsType, *, default: SomeSubstitutionsType | None = None
    ) -> None:
        self.variable_name = normalize_to_list_of_substitutions(variable_name)
        self._default = default

    def describe(self) -> str:
        return f"LaunchConfig({describe_all(self.variable_name)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the value; without one and without a default raise RuntimeError."""
        name = perform_text(context, self.variable_name)
        if name in context.launch_configurations:
            return context.launch_configurations[name]
        if self._default is None:
            raise RuntimeError(f"launch configuration '{name}' does not exist")
        return perform_text(context, self._default)


class PathJoinSubstitution(Substitution):
    """Parts of a path, joined."""

    def __init__(self, substitutions: Iterable[str | Substitution]) -> None:
        self.substitutions = normalize_to_list_of_substitutions(substitutions)

    def describe(self) -> str:
        return f"PathJoin('{describe_all(self.substitutions)}')"

    def perform(self, context: LaunchContext) -> str:
        return os.path.join(*(part.perform(context) for part in self.substitutions))


def normalize_to_list_of_substitutions(subject: SomeSubstitutionsType) -> list[Substitution]:
    """Return text, a substitution, a path or an iterable of these as a list of substitutions.

    A list within the list is a TypeError, as it is in ROS 2 up to Jazzy.
    """
    if isinstance(subject, str | PathLike | Substitution) or not isinstance(subject, Iterable):
        subject = [subject]
    return [_normalize(item) for item in subject]


def perform_text(context: LaunchContext, subject: SomeSubstitutionsType) -> str:
    """Return the text of anything that `normalize_to_list_of_substitutions` takes."""
    return "".join(part.perform(context) for part in normalize_to_list_of_substitutions(subject))


def _normalize(item: object) -> Substitution:
    if isinstance(item, Substitution):
        return item
    if isinstance(item, str | PathLike):
        return TextSubstitution(text=str(item))
    raise TypeError(f"expected text or a substitution, got {item!r}")


def describe_all(parts: Iterable[Substitution]) -> str:
    """Return the descriptions of substitutions, joined."""
    return " + ".join(part.describe() for part in parts)
