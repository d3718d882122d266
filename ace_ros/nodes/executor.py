# SPDX-License-Identifier: Apache-2.0
"""How the callbacks of a node run: one after another, and services that wait beside them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import Executor, ShutdownException, TimeoutException
from rclpy.service import Service

from ace_ros.nodes.faults import Faults

BEGIN_S = 0.001  # for a thread to begin a callback
MOST_CALLS = 64  # of services, that are answered at once
CALL = "service"  # name of the threads that answer


class NodeExecutor(Executor):
    """Runs callbacks in the thread that spins, and each call of a service in a thread of its own.

    Services may wait, for a training or an image, while images and tf go on. All else is quick, and has no
    other thread to wait for. rclpy's MultiThreadedExecutor hands a callback out again and again until
    a thread has begun it (ros2/rclpy#1452). That takes a whole core, and Python's lock from the
    thread that localizes: images took ten times as long.

    What a callback raises goes to `faults`, and the node goes on; each call of a service is answered.
    """

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults
        self._calls: set[Any] = set()  # of services, which are being answered

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for a callback and run it, or begin it where it is a service's."""
        try:
            handler, entity, _ = self.wait_for_ready_callbacks(timeout_sec=timeout_sec)
        except (ShutdownException, TimeoutException):
            return
        if handler in self._calls:  # its thread has not begun it yet
            time.sleep(BEGIN_S)
        elif not (isinstance(entity, Service) and self._begin(handler, entity)):
            self._run(handler, entity)

    def _make_handler(self, entity: Any, node: Any, take: Callable[[Any], Any], *rest: Any) -> Any:
        """As rclpy does, but a message that cannot be taken does not silence its topic for ever."""

        def careful(entity: Any) -> Any:
            try:
                return take(entity)
            except Exception as error:
                self._faults.take(error, f"message of {_name(entity)}")
                time.sleep(BEGIN_S)  # it may come again at once
                return None

        if isinstance(entity, Service) and not isinstance(entity.callback, _Answer):
            entity.callback = _Answer(entity.callback, _name(entity), self._faults)
        return super()._make_handler(entity, node, careful, *rest)

    def _begin(self, handler: Any, service: Service[Any, Any]) -> bool:
        """Answer a call in a thread of its own; return whether there is one more thread for it."""
        if len(self._calls) >= MOST_CALLS:
            return False
        thread = threading.Thread(target=self._call, args=(handler, service), name=CALL, daemon=True)
        self._calls.add(handler)
        try:
            thread.start()
        except RuntimeError:  # the system has no more
            self._calls.discard(handler)
            return False
        return True

    def _call(self, handler: Any, service: Service[Any, Any]) -> None:
        try:
            self._run(handler, service)
        finally:
            self._calls.discard(handler)

    def _run(self, handler: Any, entity: Any) -> None:
        handler()
        error = handler.exception()
        if error is not None:
            self._faults.take(error, f"callback of {_name(entity)}")


class _Answer:
    """The callback of a service that answers in any case, and says no where too many calls wait."""

    def __init__(self, callback: Callable[[Any, Any], Any], name: str, faults: Faults) -> None:
        self._callback, self._name, self._faults = callback, name, faults

    def __call__(self, request: Any, response: Any) -> Any:
        if threading.current_thread().name != CALL:
            said = f"{MOST_CALLS} calls of services are being answered already; call again later"
            return _refuse(request, response, said)
        try:
            return self._callback(request, response)
        except Exception as error:
            return _refuse(request, type(response)(), self._faults.take(error, f"service {self._name}"))


def _refuse(request: Any, response: Any, sentence: str) -> Any:
    """Fill the answer of any service with why it cannot be given."""
    if hasattr(response, "success"):
        response.success, response.message = False, sentence
    if hasattr(response, "FAILED"):
        response.result = response.FAILED
    if hasattr(response, "results"):  # of set_parameters
        refused = SetParametersResult(successful=False, reason=sentence)
        response.results = [refused] * len(request.parameters)
    return response


def _name(entity: Any) -> str:
    for attribute in ("topic_name", "service_name", "srv_name"):
        if hasattr(entity, attribute):
            return str(getattr(entity, attribute))
    callback = getattr(entity, "callback", None)
    return str(getattr(callback, "__qualname__", None) or type(entity).__name__)
