# SPDX-License-Identifier: Apache-2.0
"""Start a node, spin it, and end it in order; what a user can correct is said in one sentence."""

from __future__ import annotations

import importlib
import signal
import sys
from typing import Any

from ace_ros.compute.interrupts import catch_interrupts, interrupted_status

NODES = {"mapper": "Mapper", "localizer": "Localizer", "player": "Player", "simulator": "Simulator"}


def main(name: str, arguments: list[str] | None = None) -> int:
    """Run the node `name`, or the demo, until it is interrupted; return the exit code.

    That is 0 after a node has run, 130 where Ctrl-C came while it was still starting, 2 after an error that
    the user can correct, 1 after one that only a new process can.
    """
    catch_interrupts(signal.SIGINT)
    try:
        return _run(name, arguments)
    except BaseException:
        if not interrupted_status():
            raise
        return interrupted_status()


def _run(name: str, arguments: list[str] | None) -> int:
    from ace_ros.errors import AceError
    from ace_ros.nodes.surroundings import begin_ros, explain_import

    try:
        begin_ros(arguments)
        return _demo() if name == "demo" else _spin(name)
    except (ImportError, AceError) as error:
        if interrupted_status():
            raise
        said = explain_import(error) if isinstance(error, ImportError) else str(error)
        print(f"{name}: {said}", file=sys.stderr)
    return 2


def _demo() -> int:
    """Run the demo; return 0 where all bars hold, 1 where one is missed, 2 where it broke off."""
    import rclpy

    from ace_ros.nodes.demo import judge
    from ace_ros.nodes.shutdown import until_shutdown

    try:
        with until_shutdown():
            return judge()
    finally:
        rclpy.try_shutdown()
    return 2


def _spin(name: str) -> int:
    import rclpy

    from ace_ros.compute.process import keep_memory, wait_briefly
    from ace_ros.nodes.executor import NodeExecutor
    from ace_ros.nodes.shutdown import until_shutdown

    wait_briefly()
    keep_memory()
    node = None
    try:
        with until_shutdown():
            node_class: Any = getattr(importlib.import_module(f"ace_ros.nodes.{name}"), NODES[name])
            node = node_class()
            executor = NodeExecutor(node.faults)
            executor.add_node(node)
            executor.spin()
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
    return int(node.faults.fatal) if node is not None else interrupted_status()
