# SPDX-License-Identifier: Apache-2.0
"""A list of entities, as a launch file returns it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from launch.launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from launch.action import Action
    from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
    from launch.launch_context import LaunchContext


class LaunchDescription(LaunchDescriptionEntity):
    """What is to be launched."""

    def __init__(self, initial_entities: Iterable[LaunchDescriptionEntity] | None = None) -> None:
        self.entities = list(initial_entities or [])

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        """Append an entity."""
        self.entities.append(entity)

    def add_action(self, action: Action) -> None:
        """Append an action."""
        self.add_entity(action)

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Return the entities."""
        return self.entities

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities."""
        return self.entities

    def get_launch_arguments(self) -> list[DeclareLaunchArgument]:
        """Return the declared arguments, those of included files too, the first of each name."""
        pairs = self.get_launch_arguments_with_include_launch_description_actions()
        return [argument for argument, _ in pairs]

    def get_launch_arguments_with_include_launch_description_actions(
        self,
    ) -> list[tuple[DeclareLaunchArgument, list[IncludeLaunchDescription]]]:
        """Return the declared arguments, each with the inclusions that lead to it.

        Sets `_conditionally_included` on each: True where it depends on a condition or an event.
        """
        from launch.actions import (  # need this module
            DeclareLaunchArgument,
            IncludeLaunchDescription,
        )

        found: dict[str, tuple[DeclareLaunchArgument, list[IncludeLaunchDescription]]] = {}

        def collect(
            entities: Iterable[LaunchDescriptionEntity],
            conditional: bool,
            includes: list[IncludeLaunchDescription],
        ) -> None:
            for entity in entities:
                if isinstance(entity, DeclareLaunchArgument) and entity.name not in found:
                    entity._conditionally_included = conditional or entity.condition is not None
                    found[entity.name] = (entity, includes)
                inner = (
                    [*includes, entity]
                    if isinstance(entity, IncludeLaunchDescription)
                    else includes
                )
                collect(entity.describe_sub_entities(), conditional, inner)
                collect(entity.describe_conditional_sub_entities(), True, inner)

        collect(self.entities, False, [])
        return list(found.values())
