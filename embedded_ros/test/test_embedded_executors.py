# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

import pytest
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import (
    ExternalShutdownException,
    MultiThreadedExecutor,
    SingleThreadedExecutor,
)
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.task import Future

from rosgraph_msgs.msg import Clock
from std_msgs.msg import Int64
from std_srvs.srv import Trigger

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def publish_all(publisher, numbers) -> None:
    for number in numbers:
        publisher.publish(Int64(data=number))


def test_depth_one_keeps_the_newest(ros) -> None:
    node = ros.node("n")
    seen: list[int] = []
    node.create_subscription(Int64, "x", lambda m: seen.append(m.data), QoSProfile(depth=1))
    publish_all(node.create_publisher(Int64, "x", 10), range(5))
    assert ros.spin_until(lambda: seen)
    assert seen == [4]


def test_a_deeper_queue_keeps_order(ros) -> None:
    node = ros.node("n")
    seen: list[int] = []
    node.create_subscription(Int64, "x", lambda m: seen.append(m.data), 3)
    publish_all(node.create_publisher(Int64, "x", 10), range(5))
    assert ros.spin_until(lambda: len(seen) == 3)
    assert seen == [2, 3, 4]


def test_a_busy_topic_does_not_starve_another(ros) -> None:
    node = ros.node("n")
    busy: list[int] = []
    quiet: list[int] = []
    publisher = node.create_publisher(Int64, "busy", 10)

    def on_busy(message: Int64) -> None:
        busy.append(message.data)
        publisher.publish(message)  # the next one is ready before this callback ends

    node.create_subscription(Int64, "busy", on_busy, 10)
    node.create_subscription(Int64, "quiet", lambda m: quiet.append(m.data), 10)
    publish_all(publisher, [1])
    publish_all(node.create_publisher(Int64, "quiet", 10), [1, 2])
    assert ros.spin_until(lambda: len(quiet) == 2, 5.0)
    assert len(busy) < 10


def test_timers_keep_their_period_and_can_be_cancelled(ros) -> None:
    node = ros.node("n")
    calls: list[float] = []
    timer = node.create_timer(0.02, lambda: calls.append(time.monotonic()))
    assert ros.spin_until(lambda: len(calls) == 10)
    assert 0.17 < calls[-1] - calls[0] < 1.0
    timer.cancel()
    ros.spin_until(lambda: False, 0.1)
    assert len(calls) == 10 and timer.is_canceled()
    timer.reset()
    assert ros.spin_until(lambda: len(calls) == 11)


def test_missed_periods_are_left_out(ros) -> None:
    calls: list[float] = []

    def slow() -> None:
        calls.append(time.monotonic())
        time.sleep(0.1)

    ros.node("n").create_timer(0.02, slow)
    ros.spin_until(lambda: False, 0.5)
    assert len(calls) <= 6


def run_together(ros, group, threads: int) -> int:
    """Return how many of two callbacks were running at the same time."""
    node = ros.node("n")
    ros.executor.remove_node(node)
    running = 0
    most = 0
    finished = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, most, finished
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.15)
        with lock:
            running -= 1
            finished += 1

    for _ in range(2):
        node.create_timer(0.01, work, callback_group=group)
    executor = MultiThreadedExecutor(threads, context=ros.context)
    executor.add_node(node)
    end = time.monotonic() + 5.0
    while finished < 2 and time.monotonic() < end:
        executor.spin_once(0.05)
    executor.shutdown()
    return most


def test_mutually_exclusive_callbacks_run_one_at_a_time(ros) -> None:
    assert run_together(ros, MutuallyExclusiveCallbackGroup(), 3) == 1


def test_reentrant_callbacks_run_in_parallel(ros) -> None:
    assert run_together(ros, ReentrantCallbackGroup(), 3) == 3


def test_no_more_callbacks_run_than_there_are_threads(ros) -> None:
    assert run_together(ros, ReentrantCallbackGroup(), 2) == 2


def test_threads_do_not_hoard_old_messages(ros) -> None:
    node = ros.node("n")
    ros.executor.remove_node(node)
    seen: list[int] = []
    release = threading.Event()

    def on_message(message: Int64) -> None:
        seen.append(message.data)
        release.wait(5.0)

    group = ReentrantCallbackGroup()
    node.create_subscription(Int64, "x", on_message, 1, callback_group=group)
    publisher = node.create_publisher(Int64, "x", 10)
    executor = MultiThreadedExecutor(1, context=ros.context)
    executor.add_node(node)
    publish_all(publisher, [0])
    executor.spin_once(1.0)
    for number in range(1, 5):
        publish_all(publisher, [number])
        executor.spin_once(0.02)
    release.set()
    end = time.monotonic() + 5.0
    while len(seen) < 2 and time.monotonic() < end:
        executor.spin_once(0.05)
    executor.shutdown()
    assert seen == [0, 4]


def test_a_service_may_be_called_inside_a_callback(ros) -> None:
    node = ros.node("n")
    ros.executor.remove_node(node)
    answers: list[str] = []
    inner = node.create_client(Trigger, "inner", callback_group=MutuallyExclusiveCallbackGroup())

    def answer(request, response):
        response.message = "deep"
        return response

    node.create_service(Trigger, "inner", answer, callback_group=MutuallyExclusiveCallbackGroup())
    assert inner.wait_for_service(5.0)
    once = node.create_timer(
        0.01, lambda: (once.cancel(), answers.append(inner.call(Trigger.Request(), 5.0).message))
    )
    executor = MultiThreadedExecutor(3, context=ros.context)
    executor.add_node(node)
    end = time.monotonic() + 5.0
    while not answers and time.monotonic() < end:
        executor.spin_once(0.05)
    executor.shutdown()
    assert answers == ["deep"]


@pytest.mark.parametrize("kind", [SingleThreadedExecutor, MultiThreadedExecutor])
def test_an_error_in_a_callback_ends_spinning(ros, kind) -> None:
    node = ros.node("n")
    ros.executor.remove_node(node)

    def fail() -> None:
        raise RuntimeError("in the callback")

    node.create_timer(0.01, fail)
    executor = kind(context=ros.context)
    executor.add_node(node)
    with pytest.raises(RuntimeError, match="in the callback"):
        executor.spin()
    executor.shutdown()


def test_shutdown_from_another_thread_ends_spinning(ros) -> None:
    node = ros.node("n")
    threading.Timer(0.1, ros.context.try_shutdown).start()
    with pytest.raises(ExternalShutdownException):
        while node.context.ok():
            ros.executor.spin_once()


def test_a_future_ends_spinning_and_calls_back(ros) -> None:
    ros.node("n")
    future = Future()
    heard: list[int] = []
    future.add_done_callback(lambda f: heard.append(f.result()))
    threading.Timer(0.05, future.set_result, [3]).start()
    ros.executor.spin_until_future_complete(future, 5.0)
    assert future.done() and heard == [3]
    never = Future()
    start = time.monotonic()
    ros.executor.spin_until_future_complete(never, 0.1)
    assert not never.done() and time.monotonic() - start < 2.0
    failed = Future()
    failed.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        failed.result()


def test_a_late_subscriber_gets_the_latched_message(ros) -> None:
    node = ros.node("n")
    publisher = node.create_publisher(Int64, "x", LATCHED)
    publish_all(publisher, [1, 2])
    seen: list[int] = []
    node.create_subscription(Int64, "x", lambda m: seen.append(m.data), LATCHED)
    assert ros.spin_until(lambda: seen)
    publish_all(publisher, [3])
    assert ros.spin_until(lambda: len(seen) == 2)
    assert seen == [2, 3]


def test_incompatible_qos_and_types_are_warned_of(ros, capsys) -> None:
    from std_msgs.msg import String

    node = ros.node("n")
    node.create_publisher(Int64, "x", qos_profile_sensor_data)
    node.create_subscription(Int64, "x", lambda m: None, 10)
    node.create_subscription(String, "x", lambda m: None, qos_profile_sensor_data)
    text = capsys.readouterr().err
    assert "incompatible QoS" in text and "RELIABILITY" in text
    assert "another type: std_msgs/msg/Int64" in text


def test_raw_subscriptions_get_bytes(ros) -> None:
    node = ros.node("n")
    seen: list[bytes] = []
    node.create_subscription(Int64, "x", seen.append, 1, raw=True)
    publish_all(node.create_publisher(Int64, "x", 10), [1])
    assert ros.spin_until(lambda: seen)
    assert seen == [bytes.fromhex("00010000 0100000000000000")]


def test_wrong_use_is_refused(ros) -> None:
    node = ros.node("n")
    publisher = node.create_publisher(Int64, "x", 10)
    with pytest.raises(TypeError, match="Expected"):
        publisher.publish("text")
    with pytest.raises(TypeError, match="Expected"):
        node.create_client(Trigger, "x").call_async("text")
    with pytest.raises(TypeError, match="QoSProfile"):
        node.create_publisher(Int64, "x", "reliable")

    async def coroutine(message: Int64) -> None:
        pass

    with pytest.raises(TypeError, match="coroutine"):
        node.create_subscription(Int64, "x", coroutine, 10)
    publisher.destroy()
    with pytest.raises(Exception, match="destruction"):
        publisher.publish(Int64())


def test_what_is_destroyed_disappears(ros) -> None:
    node = ros.node("n")
    other = ros.node("watcher", [])
    publisher = node.create_publisher(Int64, "x", 10)
    subscription = node.create_subscription(Int64, "x", lambda m: None, 10)
    assert ros.spin_until(lambda: other.count_publishers("x") == other.count_subscribers("x") == 1)
    info = other.get_publishers_info_by_topic("x")[0]
    assert (info.node_name, info.topic_type, info.qos_profile.depth) == ("n", Int64._TYPE, 10)
    node.destroy_publisher(publisher)
    node.destroy_subscription(subscription)
    assert ros.spin_until(lambda: other.count_publishers("x") == other.count_subscribers("x") == 0)
    assert ("n", "/") in other.get_node_names_and_namespaces()
    node.destroy_node()
    assert ros.spin_until(lambda: other.get_node_names() == ["watcher"])


def test_simulated_time_comes_from_clock(ros) -> None:
    node = ros.node("n", parameter_overrides=[Parameter("use_sim_time", value=True)])
    calls: list[int] = []
    node.create_timer(1.0, lambda: calls.append(node.get_clock().now().nanoseconds))
    publisher = node.create_publisher(Clock, "/clock", 10)
    assert node.get_clock().now().nanoseconds == 0
    for second in range(100, 104):
        message = Clock()
        message.clock.sec = second
        publisher.publish(message)
        assert ros.spin_until(lambda: node.get_clock().now().nanoseconds == second * 10**9)  # noqa: B023
        ros.spin_until(lambda: False, 0.05)
    assert calls[-3:] == [101 * 10**9, 102 * 10**9, 103 * 10**9]
    node.set_parameters([Parameter("use_sim_time", value=False)])
    assert node.get_clock().now().nanoseconds > 10**18
