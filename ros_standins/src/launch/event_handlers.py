# SPDX-License-Identifier: Apache-2.0
"""What to do when something happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from launch.action import LaunchDescriptionEntity, list_of_entities
from launch.events import Event, Shutdown
from launch.events.process import ProcessExited, ProcessStarted

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

Entities = Any  # an entity, an iterable of entities, None, or a function that returns one of these
Target = Any  # an action, a function that tells whether it is for an action, or None for all


class EventHandler:
    """Entities to visit, or a function `(event, context)` to call, for events that match."""

    def __init__(self, *, matcher: Callable[[Event], bool], entities: Entities = None) -> None:
        self._matcher = matcher
        self._reaction = entities if callable(entities) else list_of_entities(entities)

    def matches(self, event: Event) -> bool:
        """Tell whether this handler is for an event."""
        return self._matcher(event)

    def handle(self, event: Event, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Return the entities to visit."""
        context.locals.event = event
        if callable(self._reaction):
            return list_of_entities(self._reaction(event, context))
        return self._reaction


class OnShutdown(EventHandler):
    """React to the end of the launch."""

    def __init__(self, *, on_shutdown: Entities) -> None:
        super().__init__(matcher=_matcher(Shutdown, None), entities=on_shutdown)


class OnProcessStart(EventHandler):
    """React to the start of one process, of processes that match, or of any."""

    def __init__(self, *, target_action: Target = None, on_start: Entities) -> None:
        super().__init__(matcher=_matcher(ProcessStarted, target_action), entities=on_start)


class OnProcessExit(EventHandler):
    """React to the end of one process, of processes that match, or of any."""

    def __init__(self, *, target_action: Target = None, on_exit: Entities) -> None:
        super().__init__(matcher=_matcher(ProcessExited, target_action), entities=on_exit)


def _matcher(event_type: type[Event], target: Target) -> Callable[[Event], bool]:
    """Return a matcher for events of one type and, for a process, of those that are meant."""

    def matches(event: Event) -> bool:
        if not isinstance(event, event_type):
            return False
        if target is None or event.action is target:
            return True
        return not isinstance(target, LaunchDescriptionEntity) and target(event.action)

    return matches
