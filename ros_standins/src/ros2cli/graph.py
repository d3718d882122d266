# SPDX-License-Identifier: Apache-2.0
"""What the verbs share: a short-lived node, and waiting until it knows the graph."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import rclpy
from rclpy.node import Node
from rclpy.task import Future
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden

POLL_S = 0.05  # nothing tells a Python node that the graph has changed
# Processes announce themselves when they start and then every 3 s. They become known one after the
# other, each with its endpoints at first nameless. The graph is taken for known once every process had
# its turn and nothing has changed for a while.
FIRST_S = 3.5
QUIET_S = 1.0
Result = TypeVar("Result")


def add_spin_time(*parsers: argparse.ArgumentParser) -> None:
    """Add how long to wait for discovery."""
    for parser in parsers:
        parser.add_argument(
            "--spin-time", type=float, default=10.0, help="wait at most so many seconds for discovery"
        )
        parser.add_argument("--no-daemon", action="store_true", help="as always here: there is no daemon")


@contextmanager
def cli_node() -> Iterator[Node]:
    """Give a hidden node, which at first knows of nothing."""
    with rclpy.init(args=[]):
        name = f"_ros2cli_{os.getpid()}"
        node = rclpy.create_node(name, start_parameter_services=False, enable_rosout=False)
        try:
            yield node
        finally:
            node.destroy_node()


def wait_for(condition: Callable[[], Result], timeout: float) -> Result:
    """Wait until the graph fulfils a condition and return its value, false after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not (result := condition()) and time.monotonic() < end:
        time.sleep(POLL_S)
    return result


def settle(node: Node, spin_time: float) -> None:
    """Wait until the graph does not change any more, at most `spin_time` seconds."""
    begin = changed = time.monotonic()
    seen = None
    while (now := time.monotonic()) < begin + spin_time:
        known, whole = _snapshot(node)
        if known != seen or not whole:
            seen, changed = known, now
        elif now > max(changed + QUIET_S, begin + FIRST_S):
            return
        time.sleep(POLL_S)


def _snapshot(node: Node) -> tuple[object, bool]:
    """Return what is known of the graph, and whether every endpoint's node is known."""
    topics = sorted(node.get_topic_names_and_types())
    endpoints = [
        (topic, end.node_namespace, end.node_name)
        for topic, _ in topics
        for end in [*node.get_publishers_info_by_topic(topic), *node.get_subscriptions_info_by_topic(topic)]
    ]
    known = (node_names(node, True), topics, sorted(node.get_service_names_and_types()), sorted(endpoints))
    return known, all(name != "_NODE_NAME_UNKNOWN_" for _, _, name in endpoints)


def result_of(node: Node, future: Future) -> Any:
    """Spin until a service has answered and return the response; raise RuntimeError where it fails."""
    rclpy.spin_until_future_complete(node, future)
    if future.result() is None:
        raise RuntimeError(f"Exception while calling service: {future.exception()!r}")
    return future.result()


def absolute(name: str) -> str:
    """Return a topic, service or node name with its leading slash."""
    return name if name.startswith("/") else f"/{name}"


def node_names(node: Node, include_hidden: bool = False) -> list[str]:
    """Return the full names of all nodes, sorted, a duplicate name twice."""
    names = [f"{space.rstrip('/')}/{name}" for name, space in node.get_node_names_and_namespaces()]
    return sorted(name for name in names if include_hidden or not topic_or_service_is_hidden(name))


def print_names(named: list[tuple[str, list[str]]], types: bool) -> None:
    """Print names of topics or services, with their types if asked."""
    for name, type_names in sorted(named):
        if not topic_or_service_is_hidden(name):
            print(f"{name} [{', '.join(type_names)}]" if types else name)
