# SPDX-License-Identifier: Apache-2.0
"""What a running launch knows: configurations, environment, event handlers, running processes."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterable, MutableMapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch.actions.execute_process import ExecuteProcess
    from launch.event_handlers import EventHandler
    from launch.events import Event
    from launch.substitution import Substitution


class LaunchContext:
    """State of one launch; every action and substitution gets it when it runs."""

    def __init__(self, *, argv: Iterable[str] | None = None, noninteractive: bool = False) -> None:
        self.argv = list(argv or [])
        self.noninteractive = noninteractive
        self.launch_configurations: dict[str, Any] = {}
        self.is_shutdown = False
        self.asyncio_loop: asyncio.AbstractEventLoop | None = None
        self.running_processes: set[ExecuteProcess] = set()
        self.process_count = 0
        self._events: deque[Event] = deque()
        self._event_handlers: deque[EventHandler] = deque()
        self._completion_futures: list[asyncio.Future] = []
        self._wake = asyncio.Event()
        self._locals: dict[str, Any] = {}
        self._configurations_stack: list[dict[str, Any]] = []
        self._environment_stack: list[dict[str, str]] = []

    @property
    def environment(self) -> MutableMapping[str, str]:
        """The environment that processes are started with: that of this process."""
        return os.environ

    @property
    def locals(self) -> SimpleNamespace:
        """The values that belong to the entity being visited, e.g. `event`."""
        return SimpleNamespace(**self._locals)

    def get_locals_as_dict(self) -> dict[str, Any]:
        """Return `locals` as a dictionary."""
        return self._locals

    def extend_locals(self, extensions: dict[str, Any]) -> None:
        """Add or replace local values."""
        self._locals = {**self._locals, **extensions}

    def replace_locals(self, values: dict[str, Any]) -> dict[str, Any]:
        """Set all local values and return the previous ones."""
        previous, self._locals = self._locals, dict(values)
        return previous

    def perform_substitution(self, substitution: Substitution) -> str:
        """Return the text of a substitution."""
        return substitution.perform(self)

    def push_scope(self) -> None:
        """Remember launch configurations and environment for `pop_scope`."""
        self._configurations_stack.append(dict(self.launch_configurations))
        self._environment_stack.append(dict(os.environ))

    def pop_scope(self) -> None:
        """Restore launch configurations and environment."""
        self.launch_configurations = self._configurations_stack.pop()
        environment = self._environment_stack.pop()
        if environment != os.environ:
            os.environ.clear()
            os.environ.update(environment)

    def register_event_handler(self, event_handler: EventHandler, append: bool = False) -> None:
        """Add an event handler, before the others unless `append`."""
        if append:
            self._event_handlers.append(event_handler)
        else:
            self._event_handlers.appendleft(event_handler)

    def unregister_event_handler(self, event_handler: EventHandler) -> None:
        """Remove an event handler."""
        self._event_handlers.remove(event_handler)

    def handlers_of(self, event: Event) -> list[EventHandler]:
        """Return the handlers that match an event, in the order in which they run."""
        return [handler for handler in tuple(self._event_handlers) if handler.matches(event)]

    def emit_event_sync(self, event: Event) -> None:
        """Queue an event; it is handled after what is being visited now."""
        self._events.append(event)
        self._wake.set()

    async def emit_event(self, event: Event) -> None:
        """Queue an event."""
        self.emit_event_sync(event)

    def next_event(self) -> Event | None:
        """Take the oldest queued event, or None."""
        return self._events.popleft() if self._events else None

    def add_completion_future(self, future: asyncio.Future) -> None:
        """Keep the launch running until a future is done."""
        self._completion_futures.append(future)
        self._wake.set()

    async def wait_for_work(self) -> bool:
        """Wait until an event is queued or a future ends; return False when nothing is left.

        Raises the exception of a failed future.
        """
        ended = [future for future in self._completion_futures if future.done()]
        self._completion_futures = [f for f in self._completion_futures if not f.done()]
        for future in ended:
            future.result()
        if ended or self._events:
            return True
        if not self._completion_futures:
            return False
        self._wake = asyncio.Event()  # of this loop
        wake = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait(
                [wake, *self._completion_futures], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            wake.cancel()
        return True
