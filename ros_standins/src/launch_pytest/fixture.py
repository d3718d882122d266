# SPDX-License-Identifier: Apache-2.0
"""Fixtures that return a launch description, which runs as long as tests use it."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
from launch import LaunchDescription, LaunchDescriptionEntity, LaunchService
from launch_pytest.actions import ReadyToTest


def fixture(
    decorated: Callable[..., Any] | None = None,
    *args: Any,
    shutdown_when_idle: bool = True,
    auto_shutdown: bool = True,
    **kwargs: Any,
) -> Any:
    """Make a pytest fixture whose launch description runs while tests use it.

    The function returns a LaunchDescription, or a sequence that begins with one. `args` and
    `kwargs` are those of `pytest.fixture`. Without `auto_shutdown` the launch has to end by itself
    when the tests are done; without `shutdown_when_idle` it goes on when nothing is left to do.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        launch = Launch(kwargs.get("scope", "function"), shutdown_when_idle, auto_shutdown)

        @functools.wraps(function)
        def launched(*arguments: Any, **fixtures: Any) -> Iterator[Any]:
            value = function(*arguments, **fixtures)
            try:
                launch.start(_description_in(value, function.__name__))
                yield value
            finally:
                launch.close()

        launched._launch_pytest = launch  # pytest.fixture keeps attributes
        return pytest.fixture(*args, **kwargs)(launched)

    return decorate if decorated is None else decorate(decorated)


class Launch:
    """What belongs to one launch fixture: its options and, while it is set up, service and loop."""

    def __init__(self, scope: str, shutdown_when_idle: bool, auto_shutdown: bool) -> None:
        self.scope = scope
        self._shutdown_when_idle = shutdown_when_idle
        self._auto_shutdown = auto_shutdown
        self._task: asyncio.Task | None = None

    def start(self, description: LaunchDescription) -> None:
        """Start the launch and return when it is ready to test; raise where it ends before."""
        self.loop = asyncio.new_event_loop()
        self.service = LaunchService()
        ready = asyncio.Event()
        _ready_action(description)._add_callback(ready.set)
        self.service.include_launch_description(description)
        run = self.service.run_async(shutdown_when_idle=self._shutdown_when_idle)
        self._task = self.loop.create_task(run)
        waiting = self.loop.create_task(ready.wait())
        either = asyncio.wait([self._task, waiting], return_when=asyncio.FIRST_COMPLETED)
        self.loop.run_until_complete(either)
        if not ready.is_set():
            waiting.cancel()
            raise RuntimeError("the launch ended before it was ready to test")

    def finish(self) -> None:
        """End the launch, or wait for its end; fail where it had an error."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._auto_shutdown:
            self.service.shutdown(force_sync=True)
        code = self.loop.run_until_complete(task)
        assert code == 0, f"launch service failed when finishing, return code '{code}'"

    def close(self) -> None:
        """End the launch and its loop."""
        try:
            self.finish()
        finally:
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    def in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function in a thread while the launch goes on in this one."""
        call = functools.partial(function, *args, **kwargs)
        return self.loop.run_until_complete(self.loop.run_in_executor(None, call))


def _description_in(value: Any, name: str) -> LaunchDescription:
    """Return the launch description that a fixture has returned; raise TypeError without one."""
    description = value[0] if isinstance(value, Sequence) and value else value
    if inspect.isgenerator(value) or not isinstance(description, LaunchDescription):
        raise TypeError(
            f"When running launch_pytest fixture '{name}': return value must be either a launch "
            f"description or a sequence which first item is a launch description, got {value!r}"
        )
    return description


def _ready_action(description: LaunchDescription) -> ReadyToTest:
    """Return the action that starts the tests; add one where there is none."""

    def search(entities: Iterable[LaunchDescriptionEntity]) -> Iterator[ReadyToTest]:
        for entity in entities:
            if isinstance(entity, ReadyToTest):
                yield entity
            yield from search(entity.get_sub_entities())

    found = list(search(description.entities))
    if len(found) > 1:
        raise RuntimeError(
            "launch_pytest fixtures must return a LaunchDescription containing only one ReadyToTest action"
        )
    if not found:
        found = [ReadyToTest()]
        description.add_action(found[0])
    return found[0]
