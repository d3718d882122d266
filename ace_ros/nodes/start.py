# SPDX-License-Identifier: Apache-2.0
"""Start a node, spin it, and end it in order; what a user can correct is said in one sentence."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ace_ros.compute.process import keep_memory, wait_briefly
from ace_ros.errors import AceError

NODES = {"mapper": "Mapper", "localizer": "Localizer", "player": "Player", "simulator": "Simulator"}
THREADS = 4


def main(name: str, arguments: list[str] | None = None) -> int:
    """Run the node `name` until it is interrupted; return the exit code."""
    try:
        return _run(name, arguments)
    except ImportError as error:
        print(f"{name}: {_explain(error)}", file=sys.stderr)
    except AceError as error:
        print(f"{name}: {error}", file=sys.stderr)
    return 2


def _run(name: str, arguments: list[str] | None) -> int:
    import rclpy
    from rclpy.executors import MultiThreadedExecutor

    from ace_ros.nodes.shutdown import until_shutdown

    wait_briefly()
    keep_memory()
    node_class: Any = getattr(importlib.import_module(f"ace_ros.nodes.{name}"), NODES[name])
    rclpy.init(args=arguments)
    node = None
    try:
        with until_shutdown():
            node = node_class()
            # Services that wait (train, relocalize) take a thread; tf and images need others.
            executor = MultiThreadedExecutor(num_threads=THREADS)
            executor.add_node(node)
            executor.spin()
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _explain(error: ImportError) -> str:
    """Return what to do about a package that is missing or does not load."""
    module = (error.name or "").split(".")[0]
    if module in ("torch", "cv2", "numpy", "safetensors"):
        return (
            f"{sys.executable} cannot import {module} ({error}); install it for the Python that ROS uses, or "
            "make the environment with: python3 -m venv --system-site-packages"
        )
    return f"{sys.executable} cannot import what it needs: {error}; source your ROS 2 workspace first"
