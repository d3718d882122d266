# SPDX-License-Identifier: Apache-2.0
"""Conditions that decide whether an action is executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from launch.substitution import SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions, perform_text

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

__all__ = [
    "Condition",
    "IfCondition",
    "InvalidConditionExpressionError",
    "LaunchConfigurationEquals",
    "LaunchConfigurationNotEquals",
    "UnlessCondition",
]


class InvalidConditionExpressionError(RuntimeError):
    """Raised when a condition is neither true nor false."""


class Condition:
    """A predicate of the context."""

    def __init__(self, *, predicate: Callable[[LaunchContext], bool]) -> None:
        self._predicate = predicate

    def evaluate(self, context: LaunchContext) -> bool:
        """Return whether the condition holds."""
        return self._predicate(context)


class IfCondition(Condition):
    """Holds when the text is 'true' or '1', in any case."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        expression = normalize_to_list_of_substitutions(predicate_expression)
        super().__init__(predicate=lambda context: evaluate_condition(context, expression))


class UnlessCondition(Condition):
    """Holds when the text is 'false' or '0', in any case."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        expression = normalize_to_list_of_substitutions(predicate_expression)
        super().__init__(predicate=lambda context: not evaluate_condition(context, expression))


class LaunchConfigurationEquals(Condition):
    """Holds when a launch configuration has a value; None holds when it is not set."""

    def __init__(
        self, launch_configuration_name: str, expected_value: SomeSubstitutionsType | None
    ) -> None:
        def matches(context: LaunchContext) -> bool:
            expected = None if expected_value is None else perform_text(context, expected_value)
            return context.launch_configurations.get(launch_configuration_name) == expected

        super().__init__(predicate=matches)


class LaunchConfigurationNotEquals(LaunchConfigurationEquals):
    """Holds when `LaunchConfigurationEquals` does not."""

    def evaluate(self, context: LaunchContext) -> bool:
        """Return whether the condition holds."""
        return not super().evaluate(context)


def evaluate_condition(context: LaunchContext, expression: SomeSubstitutionsType) -> bool:
    """Return the truth of a text; raise InvalidConditionExpressionError for any other text."""
    text = perform_substitutions(context, normalize_to_list_of_substitutions(expression))
    truth = {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())
    if truth is None:
        raise InvalidConditionExpressionError(
            f"invalid condition expression '{text}', expected one of: true, 1, false, 0"
        )
    return truth
