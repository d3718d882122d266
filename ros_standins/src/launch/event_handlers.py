# SPDX-License-Identifier: Apache-2.0
"""What to do when something happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from launch.events import Event, Shutdown
from launch.events.process import ProcessExited, ProcessStarted
from launch.launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from launch.action import Action
    from launch.launch_context import LaunchContext

__all__ = [
    "EventHandler",
    "OnProcessExit",
    "OnProcessStart",
    "OnShutdown",
]

Entities = Any  # an entity, an iterable of entities, None, or a function that returns one of these


class EventHandler:
    """Entities to visit, or a function `(event, context)` to call, for events that match."""

    def __init__(
        self,
        *,
        matcher: Callable[[Event], bool],
        entities: Entities = None,
        handle_once: bool = False,
    ) -> None:
        self._matcher = matcher
        self._reaction = entities if callable(entities) else list_of_entities(entities)
        self._handle_once = handle_once

    @property
    def entities(self) -> list[LaunchDescriptionEntity]:
        """The entities, as far as they are known before the event."""
        return [] if callable(self._reaction) else self._reaction

    def matches(self, event: Event) -> bool:
        """Tell whether this handler is for an event."""
        return self._matcher(event)

    def handle(self, event: Event, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Return the entities to visit."""
        context.extend_locals({"event": event})
        if self._handle_once:
            context.unregister_event_handler(self)
        if callable(self._reaction):
            return list_of_entities(self._reaction(event, context))
        return self._reaction


class OnProcessStart(EventHandler):
    """React to the start of one process, of processes that match, or of any."""

    def __init__(
        self,
        *,
        target_action: Action | Callable[[Action], bool] | None = None,
        on_start: Entities,
        **kwargs: Any,
    ) -> None:
        matcher = _process_matcher(ProcessStarted, target_action)
        super().__init__(matcher=matcher, entities=on_start, **kwargs)


class OnProcessExit(EventHandler):
    """React to the end of one process, of processes that match, or of any."""

    def __init__(
        self,
        *,
        target_action: Action | Callable[[Action], bool] | None = None,
        on_exit: Entities,
        **kwargs: Any,
    ) -> None:
        matcher = _process_matcher(ProcessExited, target_action)
        super().__init__(matcher=matcher, entities=on_exit, **kwargs)


class OnShutdown(EventHandler):
    """React to the end of the launch."""

    def __init__(self, *, on_shutdown: Entities, **kwargs: Any) -> None:
        super().__init__(
            matcher=lambda event: isinstance(event, Shutdown), entities=on_shutdown, **kwargs
        )


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


def _process_matcher(
    event_type: type[Event], target: Action | Callable[[Action], bool] | None
) -> Callable[[Event], bool]:
    """Return a matcher for process events of one type and one process, or of some processes."""

    def matches(event: Event) -> bool:
        if not isinstance(event, event_type):
            return False
        if target is None or event.action is target:
            return True
        return not isinstance(target, LaunchDescriptionEntity) and target(event.action)

    return matches
