# SPDX-License-Identifier: Apache-2.0
"""Actions that decide what happens when: events, timers, functions, messages, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from launch import logging
from launch.action import Action
from launch.event_handlers import EventHandler, OnShutdown, list_of_entities
from launch.events import Event, TimerEvent
from launch.events import Shutdown as ShutdownEvent
from launch.events.process import ProcessExited
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitution import SomeSubstitutionsType
from launch.utilities import perform_text, perform_typed

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class LogInfo(Action):
    """Print a message."""

    def __init__(self, *, msg: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.msg = msg

    def execute(self, context: LaunchContext) -> None:
        """Print it."""
        logging.get_logger("launch.user").info(perform_text(context, self.msg))


class OpaqueFunction(Action):
    """Call a function `(context, *args, **kwargs)` that may return further entities."""

    def __init__(
        self,
        *,
        function: Callable[..., Any],
        args: Iterable[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        **left_over_kwargs: Any,
    ) -> None:
        super().__init__(**left_over_kwargs)
        self._function = function
        self._args = tuple(args or ())
        self._kwargs = dict(kwargs or {})

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Call it."""
        return list_of_entities(self._function(context, *self._args, **self._kwargs))


class RegisterEventHandler(Action):
    """Start to listen for an event."""

    def __init__(self, event_handler: EventHandler, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_handler = event_handler

    def describe_conditional_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return what the event will cause."""
        return self.event_handler.entities

    def execute(self, context: LaunchContext) -> None:
        """Register the handler."""
        context.register_event_handler(self.event_handler)


class EmitEvent(Action):
    """Emit an event."""

    def __init__(self, *, event: Event, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event = event

    def execute(self, context: LaunchContext) -> None:
        """Emit it."""
        context.emit_event_sync(self.event)


class Shutdown(EmitEvent):
    """End the launch."""

    def __init__(self, *, reason: str = "reason not given", **kwargs: Any) -> None:
        super().__init__(event=ShutdownEvent(reason=reason), **kwargs)

    def execute(self, context: LaunchContext) -> None:
        """Emit the event, and say so when the end of a process is the cause."""
        event = context.get_locals_as_dict().get("event")
        if isinstance(event, ProcessExited):
            logging.get_logger("launch").info(
                f"process[{event.process_name}] was required: shutting down launched system"
            )
        super().execute(context)


class TimerAction(Action):
    """Visit entities after `period` seconds, once."""

    def __init__(
        self,
        *,
        period: float | SomeSubstitutionsType,
        actions: Iterable[LaunchDescriptionEntity],
        cancel_on_shutdown: bool | SomeSubstitutionsType = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(period, int):  # ROS 2 refuses it, too
            raise TypeError(f"TimerAction expected 'period' to be a float, got {period!r}")
        self.period = float(period) if isinstance(period, str) else period
        self.actions = list(actions)
        self.cancel_on_shutdown = cancel_on_shutdown
        self._cancelled = False
        self._handle: asyncio.TimerHandle | None = None
        self._done: asyncio.Future | None = None

    def describe_conditional_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return what will be visited."""
        return self.actions

    def get_asyncio_future(self) -> asyncio.Future | None:
        """Return what ends when the time has come or the timer was cancelled."""
        return self._done

    def cancel(self) -> None:
        """Do not visit the entities; without effect after the time has come."""
        self._cancelled = True
        if self._done is not None and not self._done.done():
            self._handle.cancel()
            self._done.set_result(None)

    def execute(self, context: LaunchContext) -> None:
        """Start the timer."""
        if self._cancelled:
            return
        seconds = perform_typed(context, self.period, float)
        outer = dict(context.get_locals_as_dict())
        self._done = context.asyncio_loop.create_future()
        self._handle = context.asyncio_loop.call_later(seconds, self._ring, context)

        def fire(event: Event, context: LaunchContext) -> list[LaunchDescriptionEntity]:
            context.extend_locals(outer)
            return self.actions

        context.register_event_handler(
            EventHandler(
                matcher=lambda event: isinstance(event, TimerEvent) and event.timer_action is self,
                entities=fire,
                handle_once=True,
            )
        )
        if perform_typed(context, self.cancel_on_shutdown, bool):
            context.register_event_handler(
                OnShutdown(on_shutdown=lambda event, context: self.cancel())
            )

    def _ring(self, context: LaunchContext) -> None:
        """Emit the timer's event: its time has come."""
        context.emit_event_sync(TimerEvent(timer_action=self))
        self._done.set_result(None)
