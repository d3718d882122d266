# SPDX-License-Identifier: Apache-2.0
"""What the verbs share: a short-lived node, names, waiting."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.task import Future

_POLL_S = 0.05
Result = TypeVar("Result")


def add_discovery_argument(parser: argparse.ArgumentParser) -> None:
    """Add the time to wait until the graph is known."""
    parser.add_argument(
        "--spin-time", type=float, default=0.5, help="Spin time in seconds to wait for discovery"
    )


@contextmanager
def cli_node() -> Iterator[Node]:
    """Give a hidden node, which at first knows of nothing."""
    rclpy.init(args=[])
    node = rclpy.create_node(f"_ros2cli_{os.getpid()}", start_parameter_services=False)
    try:
        yield node
    except ExternalShutdownException:
        sys.exit(int(signal.SIGTERM))
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def wait_for(
    node: Node, condition: Callable[[], Result], timeout: float | None = None
) -> Result | None:
    """Spin until a condition is true; return its value, false after `timeout` seconds."""
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        result = condition()
        if result or not rclpy.ok() or (end is not None and time.monotonic() >= end):
            return result
        rclpy.spin_once(node, timeout_sec=_POLL_S)


def discover(node: Node, seconds: float) -> None:
    """Spin until everything that exists has had time to become known."""
    wait_for(node, lambda: False, seconds)


def call(node: Node, service_type: type, name: str, request: object) -> object:
    """Call a service and return its response.

    Raises RuntimeError where it does not appear within 5 s or fails.
    """
    client = node.create_client(service_type, name)
    if not client.wait_for_service(timeout_sec=5.0):
        raise RuntimeError(f"Wait for service timed out waiting for service {name}")
    return spin_for_result(node, client.call_async(request), name)


def spin_for_result(node: Node, future: Future, name: str) -> object:
    """Spin until a service answers and return the response; raise RuntimeError if it fails."""
    rclpy.spin_until_future_complete(node, future)
    if future.exception() is not None or not future.done():
        raise RuntimeError(f"Exception while calling service {name}: {future.exception()!r}")
    return future.result()


def absolute(name: str) -> str:
    """Return a topic, service or node name with its leading slash."""
    return name if name.startswith("/") else f"/{name}"


def is_hidden(name: str) -> bool:
    """Tell whether a part of a name begins with an underscore."""
    return any(part.startswith("_") for part in name.split("/"))


def node_names(node: Node, include_hidden: bool = False) -> list[str]:
    """Return the full names of all nodes, sorted, a duplicate name twice."""
    names = [
        f"{namespace.rstrip('/')}/{name}"
        for name, namespace in node.get_node_names_and_namespaces()
    ]
    return sorted(name for name in names if include_hidden or not is_hidden(name))


def find_node(node: Node, name: str, spin_time: float) -> str | None:
    """Return the full name of a node, None where it does not appear within a second or more."""
    full = absolute(name)
    found = wait_for(node, lambda: full in node_names(node, True), max(spin_time, 1.0))
    return full if found else None


def require_node(node: Node, name: str, spin_time: float) -> str:
    """Return the full name of an existing node; raise RuntimeError('Node not found')."""
    full = find_node(node, name, spin_time)
    if full is None:
        raise RuntimeError("Node not found")
    return full
