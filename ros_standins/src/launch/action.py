# SPDX-License-Identifier: Apache-2.0
"""The base class of actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from launch.conditions import Condition
    from launch.launch_context import LaunchContext


class Action(LaunchDescriptionEntity):
    """An intention, carried out when it is visited and its condition holds."""

    def __init__(self, *, condition: Condition | None = None) -> None:
        self.condition = condition

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities that executing this action yields, as far as known beforehand."""
        return []

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the sub-entities of an unconditional action."""
        return self.get_sub_entities() if self.condition is None else []

    def describe_conditional_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the sub-entities of a conditional action."""
        return self.get_sub_entities() if self.condition is not None else []

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Execute the action if its condition holds."""
        if self.condition is None or self.condition.evaluate(context):
            return self.execute(context)
        return None

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Do what the action is for and return what has to be visited next."""
        return None
