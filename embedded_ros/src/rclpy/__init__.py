# SPDX-License-Identifier: Apache-2.0
"""The embedded rclpy: the part of ROS 2's Python client library that ace_ros uses."""

from __future__ import annotations

from typing import Any

from .context import Context
from .executors import Executor, SingleThreadedExecutor
from .node import Node
from .signals import (
    SignalHandlerOptions,
    install_signal_handlers,
    uninstall_signal_handlers,
)
from .task import Future
from .utilities import get_default_context, ok

__all__ = [
    "create_node",
    "get_global_executor",
    "init",
    "ok",
    "shutdown",
    "spin",
    "spin_once",
    "spin_until_future_complete",
    "try_shutdown",
]

_executor: Executor | None = None


def init(
    *,
    args: list[str] | None = None,
    context: Context | None = None,
    domain_id: int | None = None,
    signal_handler_options: SignalHandlerOptions | None = None,
) -> None:
    """Connect to the network; args default to sys.argv, the domain to $ROS_DOMAIN_ID.

    For the default context SIGINT and SIGTERM then end spinning.
    """
    default = context is None or context is get_default_context()
    (get_default_context() if context is None else context).init(args, domain_id=domain_id)
    if signal_handler_options is None:
        signal_handler_options = SignalHandlerOptions.ALL if default else SignalHandlerOptions.NO
    install_signal_handlers(signal_handler_options)


def shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Disconnect; raise if that was done before."""
    _shut_down("shutdown", context, uninstall_handlers)


def try_shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Disconnect if connected."""
    _shut_down("try_shutdown", context, uninstall_handlers)


def _shut_down(how: str, context: Context | None, uninstall_handlers: bool | None) -> None:
    global _executor
    default = context is None or context is get_default_context()
    getattr(get_default_context() if context is None else context, how)()
    if default:
        _executor = None
    if uninstall_handlers or (uninstall_handlers is None and default):
        uninstall_signal_handlers()


def create_node(node_name: str, **kwargs: Any) -> Node:
    """Make a node; the arguments are those of Node."""
    return Node(node_name, **kwargs)


def get_global_executor() -> Executor:
    """Return the executor that is used where none is given."""
    global _executor
    if _executor is None or not _executor.context.ok():
        _executor = SingleThreadedExecutor()
    return _executor


def spin(node: Node, executor: Executor | None = None) -> None:
    """Run a node's callbacks until its context is shut down."""
    executor = get_global_executor() if executor is None else executor
    executor.add_node(node)
    try:
        executor.spin()
    finally:
        executor.remove_node(node)


def spin_once(
    node: Node, *, executor: Executor | None = None, timeout_sec: float | None = None
) -> None:
    """Run one callback of a node, or none if nothing is ready within the time."""
    executor = get_global_executor() if executor is None else executor
    executor.add_node(node)
    try:
        executor.spin_once(timeout_sec)
    finally:
        executor.remove_node(node)


def spin_until_future_complete(
    node: Node,
    future: Future,
    executor: Executor | None = None,
    timeout_sec: float | None = None,
) -> None:
    """Run a node's callbacks until a future is done or time ran out."""
    executor = get_global_executor() if executor is None else executor
    added = executor.add_node(node)
    try:
        executor.spin_until_future_complete(future, timeout_sec)
    finally:
        if added:
            executor.remove_node(node)
