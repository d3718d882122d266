# SPDX-License-Identifier: Apache-2.0
"""What a running launch knows: configurations, environment, events and their handlers."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import MutableMapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch.event_handlers import EventHandler
    from launch.events import Event


class LaunchContext:
    """State of one launch; every action and substitution gets it when it runs."""

    def __init__(self) -> None:
        self.launch_configurations: dict[str, Any] = {}
        self.is_shutdown = False
        self.asyncio_loop: asyncio.AbstractEventLoop | None = None
        self.process_count = 0
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self._event_handlers: deque[EventHandler] = deque()
        self._completion_futures: list[asyncio.Future] = []
        self.locals = SimpleNamespace()  # of what is being handled: `event`
        self._scopes: list[tuple[dict[str, Any], dict[str, str]]] = []

    @property
    def environment(self) -> MutableMapping[str, str]:
        """The environment that processes are started with: that of this process."""
        return os.environ

    def push_scope(self) -> None:
        """Remember launch configurations and environment for `pop_scope`."""
        self._scopes.append((dict(self.launch_configurations), dict(os.environ)))

    def pop_scope(self) -> None:
        """Restore launch configurations and environment."""
        self.launch_configurations, environment = self._scopes.pop()
        if environment != os.environ:
            os.environ.clear()
            os.environ.update(environment)

    def register_event_handler(self, event_handler: EventHandler) -> None:
        """Add an event handler, before the others."""
        self._event_handlers.appendleft(event_handler)

    def handlers_of(self, event: Event) -> list[EventHandler]:
        """Return the handlers that match an event, in the order in which they run."""
        return [handler for handler in self._event_handlers if handler.matches(event)]

    def emit_event_sync(self, event: Event) -> None:
        """Queue an event; it is handled after what is being visited now."""
        self.events.put_nowait(event)

    def add_completion_future(self, future: asyncio.Future) -> None:
        """Keep the launch running until a future is done; where it fails, the launch does."""
        self._completion_futures.append(future)

    def unfinished(self) -> list[asyncio.Future]:
        """Return the completion futures that are not done; raise the exception of a failed one."""
        ended = [future for future in self._completion_futures if future.done()]
        self._completion_futures = [f for f in self._completion_futures if not f.done()]
        for future in ended:
            future.result()
        return self._completion_futures
