# SPDX-License-Identifier: Apache-2.0
"""How callbacks run: services beside the rest, and without taking a core from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from graph import Graph, wait_for
from rclpy.callback_groups import ReentrantCallbackGroup
from std_srvs.srv import Trigger

from ace_ros.nodes.executor import MOST_CALLS, NodeExecutor
from ace_ros.nodes.faults import Faults


class Spun:
    """A node of its own that is spun in the background; `error` is what ended that."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("spun", namespace="/spun")
        self.faults = Faults(self.node)
        self.executor = NodeExecutor(self.faults)
        self.executor.add_node(self.node)
        self.error: Exception | None = None
        self.processor_s = 0.0
        self.thread = threading.Thread(target=self._spin, daemon=True)
        self.thread.start()

    def _spin(self) -> None:
        try:
            self.executor.spin()
        except Exception as error:
            self.error = error
        self.processor_s = time.thread_time()

    def serve(self, name: str, callback: Callable[[Any, Any], Any]) -> None:
        self.node.create_service(Trigger, name, callback, callback_group=ReentrantCallbackGroup())

    def close(self) -> None:
        self.executor.shutdown()
        self.thread.join(10.0)
        self.node.destroy_node()


@pytest.fixture
def spun(graph: Graph) -> Iterator[Spun]:
    spun = Spun()
    yield spun
    spun.close()


def test_calls_that_wait_hold_up_nothing_and_cost_nothing(graph: Graph, spun: Spun) -> None:
    may_end, begun, ticks = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)

    def wait(request: Any, response: Any) -> Any:
        begun.release()
        assert may_end.wait(60.0)
        response.success = True
        return response

    spun.serve("wait", wait)
    calls = [graph.begin_call(Trigger, "/spun/wait") for _ in range(8)]
    for _ in calls:
        assert begun.acquire(timeout=30.0)
    spun.node.create_timer(0.01, ticks.release)
    for _ in range(100):
        assert ticks.acquire(timeout=30.0)
    may_end.set()
    wait_for("all answers", lambda: all(call.done() for call in calls))
    assert all(call.result().success for call in calls)
    spun.close()
    assert spun.error is None
    assert spun.processor_s < 1.0, "a hundred timers and eight calls take a tenth of a second"


def test_what_a_callback_raises_ends_spinning(graph: Graph, spun: Spun) -> None:
    def fail(request: Any, response: Any) -> Any:
        raise RuntimeError("of a service")

    spun.serve("fail", fail)
    graph.begin_call(Trigger, "/spun/fail")
    spun.thread.join(30.0)
    assert str(spun.error) == "of a service"
