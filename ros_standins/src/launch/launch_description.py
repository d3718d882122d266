# SPDX-License-Identifier: Apache-2.0
"""A list of entities, as a launch file returns it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from launch.action import Action, LaunchDescriptionEntity

if TYPE_CHECKING:
    from launch.actions import DeclareLaunchArgument
    from launch.launch_context import LaunchContext


class LaunchDescription(LaunchDescriptionEntity):
    """What is to be launched."""

    def __init__(self, initial_entities: Iterable[LaunchDescriptionEntity] | None = None) -> None:
        self.entities = list(initial_entities or [])

    def add_action(self, action: Action) -> None:
        """Append an action."""
        self.entities.append(action)

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        return self.entities

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return self.entities

    def get_launch_arguments(self) -> list[DeclareLaunchArgument]:
        """Return the declared arguments, those of included files too, the first of each name.

        Sets two marks on each: `_conditionally_included` where it depends on a condition or an
        event, and `_given_by_inclusion` where the description itself gives it to an included file.
        """
        # They need this module.
        from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription

        found: dict[str, DeclareLaunchArgument] = {}

        def collect(entity: LaunchDescriptionEntity, conditional: bool, given: set[object]) -> None:
            if isinstance(entity, Action):
                conditional = conditional or entity.acts_later or entity.condition is not None
            if isinstance(entity, DeclareLaunchArgument) and entity.name not in found:
                entity._conditionally_included = conditional
                entity._given_by_inclusion = entity.name in given
                found[entity.name] = entity
            if isinstance(entity, IncludeLaunchDescription):
                given = given | {name for name, _ in entity.launch_arguments}
            for inner in entity.get_sub_entities():
                collect(inner, conditional, given)

        collect(self, False, set())
        return list(found.values())
