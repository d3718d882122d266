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
        """Return the declared arguments, those of groups and included files too, the first of each name."""
        # It needs this module.
        from launch.actions import DeclareLaunchArgument

        found: dict[str, DeclareLaunchArgument] = {}

        def collect(entity: LaunchDescriptionEntity) -> None:
            if isinstance(entity, DeclareLaunchArgument):
                found.setdefault(entity.name, entity)
            for inner in entity.get_sub_entities():
                collect(inner)

        collect(self)
        return list(found.values())
