# SPDX-License-Identifier: Apache-2.0
"""Wait for what processes do, or write.

Each tool is there twice: `NAME` to be awaited in a coroutine, `NAME_sync` for other tests. All take
the launch's context, the ExecuteProcess action (with `cached_output` where its output is needed),
for output a function of the text so far, and `timeout` in seconds (None: without end).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from launch import EventHandler, LaunchContext
from launch.actions import ExecuteProcess
from launch.event_handlers import OnProcessExit, OnProcessIO, OnProcessStart

Condition = Callable[[], Any]
Validate = Callable[[str], Any]


class _Wait:
    """Listens from its making on; a call returns the condition's value when true or after a time."""

    def __init__(
        self,
        context: LaunchContext,
        handler: Callable[[Callable[..., None]], EventHandler],
        timeout: float | None,
        condition: Condition | None = None,
    ) -> None:
        self._happened = threading.Event()
        self._handler = handler(lambda *_: self._happened.set())
        self._context = context
        self._timeout = timeout
        self._condition = condition
        context.register_event_handler(self._handler, append=True)

    def __call__(self) -> Any:
        try:
            if self._condition is None:
                return self._happened.wait(self._timeout)
            return self._until_it_holds()
        finally:
            self._context.unregister_event_handler(self._handler)

    def _until_it_holds(self) -> Any:
        end = None if self._timeout is None else time.monotonic() + self._timeout
        while True:
            self._happened.clear()
            value = self._condition()
            left = None if end is None else end - time.monotonic()
            if value or (left is not None and left <= 0):
                return value
            self._happened.wait(left)


def _event(handler: Callable[..., EventHandler], reaction: str) -> Callable[..., Condition]:
    """Return a tool that tells whether an event happens in time, which it does once per process.

    What has happened before does not count, as in ROS 2.
    """

    def prepare(
        launch_context: LaunchContext, execute_process_action: ExecuteProcess, timeout: float | None = None
    ) -> Condition:
        def listen(react: Callable[..., None]) -> EventHandler:
            return handler(target_action=execute_process_action, **{reaction: react})

        return _Wait(launch_context, listen, timeout)

    return prepare


def _output(read: Callable[[ExecuteProcess], str], asserts: bool) -> Callable[..., Condition]:
    """Return a tool that returns the first true value of a function of output, or its last value.

    One that asserts takes a function that asserts, and in the end raises what that raises.
    """

    def prepare(
        launch_context: LaunchContext,
        execute_process_action: ExecuteProcess,
        validate_output: Validate,
        timeout: float | None = None,
    ) -> Condition:
        def validate(validate: Validate = validate_output) -> Any:
            return validate(read(execute_process_action))

        def listen(react: Callable[..., None]) -> EventHandler:
            return OnProcessIO(target_action=execute_process_action, on_stdout=react, on_stderr=react)

        if not asserts:
            return _Wait(launch_context, listen, timeout, validate)
        wait = _Wait(launch_context, listen, timeout, lambda: validate(_holds(validate_output)))
        return lambda: None if wait() else validate()

    return prepare


def _holds(validate: Validate) -> Validate:
    """Return a function that tells whether another one asserts."""

    def holds(text: str) -> bool:
        try:
            validate(text)
        except AssertionError:
            return False
        return True

    return holds


def _pair(prepare: Callable[..., Condition]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return a tool for coroutines, and for other tests."""

    async def wait(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(prepare(*args, **kwargs))

    return wait, lambda *args, **kwargs: prepare(*args, **kwargs)()


wait_for_start, wait_for_start_sync = _pair(_event(OnProcessStart, "on_start"))
wait_for_exit, wait_for_exit_sync = _pair(_event(OnProcessExit, "on_exit"))
wait_for_output, wait_for_output_sync = _pair(_output(ExecuteProcess.get_stdout, asserts=False))
wait_for_stderr, wait_for_stderr_sync = _pair(_output(ExecuteProcess.get_stderr, asserts=False))
assert_output, assert_output_sync = _pair(_output(ExecuteProcess.get_stdout, asserts=True))
assert_stderr, assert_stderr_sync = _pair(_output(ExecuteProcess.get_stderr, asserts=True))
