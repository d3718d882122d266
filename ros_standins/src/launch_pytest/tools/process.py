# SPDX-License-Identifier: Apache-2.0
"""Wait for what processes do, or write.

Each tool is there twice: `NAME` to be awaited in a coroutine, `NAME_sync` for other tests. All take
`launch_context`, `execute_process_action` (with `cached_output` where its output is needed), for
output the function `validate_output` of all text so far, and `timeout` in seconds, None: without end.
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

Wait = Callable[[], Any]


def _listen(
    context: LaunchContext,
    make_handler: Callable[[Callable[..., None]], EventHandler],
    timeout: float | None,
    condition: Callable[[], Any] | None = None,
) -> Wait:
    """Listen from now on; return a function that waits until the event, or the condition, is true."""
    happened = threading.Event()
    handler = make_handler(lambda *_: happened.set())
    context.register_event_handler(handler, append=True)
    end = None if timeout is None else time.monotonic() + timeout

    def wait() -> Any:
        try:
            while True:
                if condition is not None:
                    happened.clear()
                value = happened.is_set() if condition is None else condition()
                left = None if end is None else end - time.monotonic()
                if value or (left is not None and left <= 0):
                    return value
                happened.wait(left)
        finally:
            context.unregister_event_handler(handler)

    return wait


def _event(kind: Callable[..., EventHandler], reaction: str) -> Callable[..., Wait]:
    """Make a tool that returns whether an event happens in time; one before does not count, as in ROS 2."""

    def prepare(
        launch_context: LaunchContext, execute_process_action: ExecuteProcess, timeout: float | None = None
    ) -> Wait:
        target = {"target_action": execute_process_action}
        return _listen(launch_context, lambda react: kind(**target, **{reaction: react}), timeout)

    return prepare


def _output(read: Callable[[ExecuteProcess], str], asserts: bool) -> Callable[..., Wait]:
    """Make a tool that returns the first true value of a function of output, or its last value.

    One that asserts takes a function that asserts, and in the end raises what that raises.
    """

    def prepare(
        launch_context: LaunchContext,
        execute_process_action: ExecuteProcess,
        validate_output: Callable[[str], Any],
        timeout: float | None = None,
    ) -> Wait:
        def listen(react: Callable[..., None]) -> EventHandler:
            return OnProcessIO(target_action=execute_process_action, on_stdout=react, on_stderr=react)

        def validate() -> Any:
            return validate_output(read(execute_process_action))

        def holds() -> bool:
            try:
                validate()
            except AssertionError:
                return False
            return True

        wait = _listen(launch_context, listen, timeout, holds if asserts else validate)
        return (lambda: None if wait() else validate()) if asserts else wait

    return prepare


def _pair(prepare: Callable[..., Wait]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return a tool for coroutines, and for other tests."""

    async def tool(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(prepare(*args, **kwargs))

    return tool, lambda *args, **kwargs: prepare(*args, **kwargs)()


wait_for_start, wait_for_start_sync = _pair(_event(OnProcessStart, "on_start"))
wait_for_exit, wait_for_exit_sync = _pair(_event(OnProcessExit, "on_exit"))
wait_for_output, wait_for_output_sync = _pair(_output(ExecuteProcess.get_stdout, asserts=False))
wait_for_stderr, wait_for_stderr_sync = _pair(_output(ExecuteProcess.get_stderr, asserts=False))
assert_output, assert_output_sync = _pair(_output(ExecuteProcess.get_stdout, asserts=True))
assert_stderr, assert_stderr_sync = _pair(_output(ExecuteProcess.get_stderr, asserts=True))
