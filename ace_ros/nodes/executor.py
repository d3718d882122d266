# SPDX-License-Identifier: Apache-2.0
"""How the callbacks of a node run: one after another, and services that wait beside them."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.executors import Executor, ShutdownException, TimeoutException
from rclpy.service import Service

BEGIN_S = 0.001  # for a thread to begin a callback


class NodeExecutor(Executor):
    """Runs callbacks in the thread that spins, and each call of a service in a thread of its own.

    Services may wait, for a training or an image, while images and tf go on. All else is quick, and has no
    other thread to wait for. rclpy's MultiThreadedExecutor hands a callback out again and again until
    a thread has begun it (ros2/rclpy#1452). That takes a whole core, and Python's lock from the
    thread that localizes: images took ten times as long.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls: set[Any] = set()  # of services, which are being answered
        self._failed: list[Any] = []

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for a callback and run it, or begin it where it is a service's; raise what one raised."""
        try:
            handler, entity, _ = self.wait_for_ready_callbacks(timeout_sec=timeout_sec)
        except (ShutdownException, TimeoutException):
            return
        if handler in self._calls:  # its thread has not begun it yet
            time.sleep(BEGIN_S)
        elif isinstance(entity, Service):
            self._calls.add(handler)
            threading.Thread(target=self._answer, args=(handler,), name="service", daemon=True).start()
        else:
            handler()
            handler.result()
        while self._failed:
            self._failed.pop().result()

    def _answer(self, handler: Any) -> None:
        handler()
        if handler.exception() is not None:
            self._failed.append(handler)
            self.wake()
        self._calls.discard(handler)
