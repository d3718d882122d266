# SPDX-License-Identifier: Apache-2.0
"""Fixtures that return a launch description, which runs as long as tests use it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from launch import LaunchDescription, LaunchService
from launch.actions import OpaqueFunction


def fixture(decorated: Callable[..., Any] | None = None, *args: Any, **kwargs: Any) -> Any:
    """Make a pytest fixture whose launch description runs while tests use it.

    The function returns a LaunchDescription, or a sequence that begins with one. Tests begin when all
    of it was visited, which is when its processes are being started. `args` and `kwargs` are those of
    `pytest.fixture`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        launch = Launch(kwargs.get("scope", "function"))

        @functools.wraps(function)
        def launched(*arguments: Any, **fixtures: Any) -> Iterator[Any]:
            value = function(*arguments, **fixtures)
            with launch.running(_description_in(value, function.__name__)):
                yield value

        launched._launch_pytest = launch  # pytest.fixture keeps attributes
        return pytest.fixture(*args, **kwargs)(launched)

    return decorate if decorated is None else decorate(decorated)


class Launch:
    """What belongs to one launch fixture: its scope and, while it is set up, service and loop."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        self._task: asyncio.Task | None = None

    @contextmanager
    def running(self, description: LaunchDescription) -> Iterator[None]:
        """Launch a description within; raise RuntimeError where the launch ends before it is visited."""
        self._loop = asyncio.new_event_loop()
        try:
            self._start(description)
            try:
                yield
            finally:
                self.finish()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _start(self, description: LaunchDescription) -> None:
        self._service = LaunchService()
        visited = asyncio.Event()
        mark = OpaqueFunction(function=lambda context: visited.set())
        self._service.include_launch_description(LaunchDescription([description, mark]))
        launch = self._loop.create_task(self._service.run_async())
        waiting = self._loop.create_task(visited.wait())
        either = asyncio.wait([launch, waiting], return_when=asyncio.FIRST_COMPLETED)
        self._loop.run_until_complete(either)
        if not visited.is_set():
            waiting.cancel()
            raise RuntimeError("the launch ended before it was ready to test")
        self._task = launch

    def finish(self) -> None:
        """End the launch; fail where it had an error. Does nothing the second time."""
        task, self._task = self._task, None
        if task is None:
            return
        self._service.shutdown(force_sync=True)
        code = self._loop.run_until_complete(task)
        assert code == 0, f"launch service failed when finishing, return code '{code}'"

    def in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function in a thread while the launch goes on in this one."""
        call = functools.partial(function, *args, **kwargs)
        return self._loop.run_until_complete(self._loop.run_in_executor(None, call))


def _description_in(value: Any, name: str) -> LaunchDescription:
    """Return the launch description that a fixture has returned; raise TypeError without one."""
    description = value[0] if isinstance(value, Sequence) and value else value
    if not isinstance(description, LaunchDescription):
        raise TypeError(
            f"launch_pytest fixture '{name}' must return a launch description or a sequence that begins "
            f"with one, got {value!r}"
        )
    return description
