# SPDX-License-Identifier: Apache-2.0
"""What launch descriptions are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch.conditions import Condition
    from launch.launch_context import LaunchContext


class LaunchDescriptionEntity:
    """Something that can be visited and may yield further entities."""

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Do what the entity is for and return what has to be visited next."""
        raise NotImplementedError

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities in this one in which launch arguments are looked for."""
        return []


class Action(LaunchDescriptionEntity):
    """An intention, carried out when it is visited and its condition holds."""

    def __init__(self, *, condition: Condition | None = None) -> None:
        self.condition = condition

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Execute the action if its condition holds."""
        if self.condition is None or self.condition.evaluate(context):
            return self.execute(context)
        return None

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Do what the action is for and return what has to be visited next."""
        return None


def visit_all(entity: LaunchDescriptionEntity, context: LaunchContext) -> None:
    """Visit an entity and everything it yields, depth first."""
    for child in entity.visit(context) or []:
        visit_all(child, context)


def list_of_entities(entities: Any) -> list[LaunchDescriptionEntity]:
    """Return an entity, an iterable of entities or None as a list.

    Raises TypeError where something else is in it.
    """
    if entities is None:
        return []
    if isinstance(entities, LaunchDescriptionEntity):
        return [entities]
    if not isinstance(entities, Iterable):
        raise TypeError(f"expected launch entities, got {entities!r}")
    result = [entity for entity in entities if entity is not None]
    for entity in result:
        if not isinstance(entity, LaunchDescriptionEntity):
            raise TypeError(f"expected a launch entity, got {entity!r}")
    return result
