# SPDX-License-Identifier: Apache-2.0
"""The condition that decides whether an action is executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from launch.substitutions import SomeSubstitutionsType, perform_text

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


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
        super().__init__(predicate=lambda context: _truth(context, predicate_expression))


def _truth(context: LaunchContext, expression: SomeSubstitutionsType) -> bool:
    """Return the truth of a text; raise RuntimeError for any other text."""
    text = perform_text(context, expression)
    truth = {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())
    if truth is None:
        raise RuntimeError(f"invalid condition expression '{text}', expected one of: true, 1, false, 0")
    return truth
