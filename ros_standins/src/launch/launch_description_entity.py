# SPDX-License-Identifier: Apache-2.0
"""What a launch description is made of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class LaunchDescriptionEntity:
    """Something that can be visited and may yield further entities."""

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Do what the entity is for and return what has to be visited next."""
        raise NotImplementedError

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities that are always visited with this one."""
        return []

    def describe_conditional_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities that may be visited later or under a condition."""
        return []

    def get_asyncio_future(self) -> asyncio.Future | None:
        """Return what the launch has to wait for before it may end."""
        return None


def visit_all(entity: LaunchDescriptionEntity, context: LaunchContext) -> None:
    """Visit an entity and everything it yields, depth first."""
    yielded = entity.visit(context)
    future = entity.get_asyncio_future()
    if future is not None:
        context.add_completion_future(future)
    for child in yielded or []:
        visit_all(child, context)
