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
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.callback_groups import ReentrantCallbackGroup
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from ace_ros.nodes.executor import MOST_CALLS, NodeExecutor
from ace_ros.nodes.faults import Faults
from ace_ros.nodes.publishing import SERVICE


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
        group = ReentrantCallbackGroup()
        self.node.create_service(Trigger, name, callback, qos_profile=SERVICE, callback_group=group)

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


def test_what_callbacks_raise_is_told_once_and_counted_and_the_node_goes_on(
    graph: Graph, spun: Spun, capfd: pytest.CaptureFixture[str]
) -> None:
    heard: list[int] = []

    def fail(request: Any, response: Any) -> Any:
        raise RuntimeError("of a service")

    def hear(message: Image) -> None:
        heard.append(message.width)
        if message.width < 3:
            raise ValueError("of a subscription")

    def tick() -> None:
        timer.cancel()
        raise KeyError("of a timer")

    spun.serve("fail", fail)
    spun.node.create_subscription(Image, "heard", hear, 10)
    timer = spun.node.create_timer(0.01, tick)
    answers = [graph.call(Trigger, "/spun/fail") for _ in range(3)]
    assert {(a.success, a.message) for a in answers} == {
        (False, "service /spun/fail: RuntimeError: of a service")
    }
    publisher = graph.node.create_publisher(Image, "/spun/heard", 10)
    wait_for("the subscriber", lambda: publisher.get_subscription_count())
    for width in (1, 2, 3):
        publisher.publish(Image(width=width))
    wait_for("the images", lambda: heard == [1, 2, 3])
    wait_for("all errors", lambda: spun.faults.count == 6)
    assert "6 unexpected errors, the newest: " in spun.faults.message
    health = spun.faults.health()
    assert health.warning and health.values["errors"] == 6
    logged = capfd.readouterr().err
    assert logged.count("Traceback") == 3, "one for each kind"
    assert "callback of /spun/heard: ValueError: of a subscription" in logged
    assert spun.thread.is_alive()


def test_a_message_that_is_none_does_not_silence_its_topic(graph: Graph, spun: Spun) -> None:
    heard: list[int] = []
    spun.node.create_subscription(Image, "damaged", lambda message: heard.append(message.width), 10)
    publisher = graph.node.create_publisher(Image, "/spun/damaged", 10)
    wait_for("the subscriber", lambda: publisher.get_subscription_count())
    for data in (b"\x00\x01\x00\x00garbage", b"\x00\x01\x00\x00" + 40 * b"\xff", bytes(4)):
        publisher.publish(data)
    publisher.publish(Image(width=7))
    wait_for("an image", lambda: 7 in heard)


def test_a_service_of_ros_itself_answers_what_it_cannot_do(graph: Graph, spun: Spun) -> None:
    odd = [ParameterMessage(name="odd", value=ParameterValue(type=77)) for _ in range(2)]
    answer = graph.call(SetParameters, "/spun/spun/set_parameters", parameters=odd)
    assert [result.successful for result in answer.results] == [False, False]
    assert all(result.reason for result in answer.results)
    assert graph.call(GetParameters, "/spun/spun/get_parameters", names=["use_sim_time"]).values


def test_more_calls_than_threads_are_refused_at_once(graph: Graph, spun: Spun) -> None:
    may_end = threading.Event()

    def wait(request: Any, response: Any) -> Any:
        assert may_end.wait(60.0)
        response.success = True
        return response

    spun.serve("wait", wait)
    calls = [graph.begin_call(Trigger, "/spun/wait") for _ in range(MOST_CALLS + 20)]
    wait_for("20 refusals", lambda: sum(call.done() for call in calls) == 20)
    refused = [call.result() for call in calls if call.done()]
    assert not any(answer.success for answer in refused)
    assert {answer.message for answer in refused} == {
        f"{MOST_CALLS} calls of services are being answered already; call again later"
    }
    may_end.set()
    wait_for("all answers", lambda: all(call.done() for call in calls))
    assert sum(call.result().success for call in calls) == MOST_CALLS
    assert graph.call(Trigger, "/spun/wait").success
