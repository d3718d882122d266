# SPDX-License-Identifier: Apache-2.0
"""Text that is known when the launch runs: arguments, paths, environment, expressions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from launch.expression import evaluate
from launch.substitution import SomeSubstitutionsType, Substitution
from launch.utilities import (
    normalize_to_list_of_substitutions,
    perform_substitutions,
    perform_text,
)

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

__all__ = [
    "EnvironmentVariable",
    "LaunchConfiguration",
    "PathJoinSubstitution",
    "PythonExpression",
    "SubstitutionFailure",
    "TextSubstitution",
    "ThisLaunchFileDir",
]


class SubstitutionFailure(RuntimeError):
    """Raised when a substitution has no value."""


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

    def __init__(self, variable_name: SomeSubstitutionsType, *, default: Any = None) -> None:
        self.variable_name = normalize_to_list_of_substitutions(variable_name)
        if default is not None:
            parts = [default] if isinstance(default, str | Substitution) else default
            parts = parts if isinstance(parts, Iterable) else [parts]
            default = [
                part if isinstance(part, str | Substitution) else str(part) for part in parts
            ]
        self._default = default

    def describe(self) -> str:
        """Return the name of the configuration."""
        return f"LaunchConfig({_describe(self.variable_name)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the value; without one and without a default raise SubstitutionFailure."""
        name = perform_substitutions(context, self.variable_name)
        if name in context.launch_configurations:
            return context.launch_configurations[name]
        if self._default is None:
            raise SubstitutionFailure(f"launch configuration '{name}' does not exist")
        return perform_text(context, self._default)


class PathJoinSubstitution(Substitution):
    """Parts of a path, joined."""

    def __init__(self, substitutions: Iterable[str | Substitution]) -> None:
        self.substitutions = normalize_to_list_of_substitutions(substitutions)

    def describe(self) -> str:
        """Return the parts."""
        return f"PathJoin('{_describe(self.substitutions)}')"

    def perform(self, context: LaunchContext) -> str:
        """Return the path."""
        return os.path.join(*(context.perform_substitution(part) for part in self.substitutions))


class PythonExpression(Substitution):
    """The value of a Python expression, as text.

    The expression is calculated, never executed: see `launch.expression` for what it may contain.
    """

    def __init__(
        self,
        expression: SomeSubstitutionsType,
        python_modules: SomeSubstitutionsType = ("math",),
    ) -> None:
        self.expression = normalize_to_list_of_substitutions(expression)
        self.python_modules = normalize_to_list_of_substitutions(python_modules)

    def describe(self) -> str:
        """Return the expression and its modules."""
        modules = ", ".join(part.describe() for part in self.python_modules)
        return f"PythonExpr({_describe(self.expression)}, [{modules}])"

    def perform(self, context: LaunchContext) -> str:
        """Return the value as text."""
        modules = [context.perform_substitution(part) for part in self.python_modules]
        return str(evaluate(perform_substitutions(context, self.expression), modules))


class EnvironmentVariable(Substitution):
    """The value of an environment variable."""

    def __init__(
        self, name: SomeSubstitutionsType, *, default_value: SomeSubstitutionsType | None = None
    ) -> None:
        self.name = normalize_to_list_of_substitutions(name)
        self.default_value = default_value

    def describe(self) -> str:
        """Return the variable's name."""
        return f"EnvVar({_describe(self.name)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the value; without one and without a default raise SubstitutionFailure."""
        name = perform_substitutions(context, self.name)
        if name in context.environment:
            return context.environment[name]
        if self.default_value is None:
            raise SubstitutionFailure(f"environment variable '{name}' does not exist")
        return perform_text(context, self.default_value)


class ThisLaunchFileDir(Substitution):
    """The folder of the launch file that is being executed."""

    def describe(self) -> str:
        """Return the substitution's name."""
        return "ThisLaunchFileDir()"

    def perform(self, context: LaunchContext) -> str:
        """Return the folder."""
        folder = context.get_locals_as_dict().get("current_launch_file_directory")
        if folder is None:
            raise SubstitutionFailure(
                "ThisLaunchFileDir used outside of a launch file (in a script)"
            )
        return folder


def _describe(parts: Iterable[Substitution]) -> str:
    """Return the descriptions of substitutions, joined."""
    return " + ".join(part.describe() for part in parts)
