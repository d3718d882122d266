# SPDX-License-Identifier: Apache-2.0
"""What the node tests share. Those that need ROS are skipped where there is no rclpy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from graph import Graph

# Apart from other tests and robots on this machine; real DDS allows up to 101 on every system.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@pytest.fixture(scope="session")
def graph() -> Iterator[Graph]:
    """The test's node in the ROS graph."""
    pytest.importorskip("rclpy")
    from graph import Graph

    graph = Graph()
    yield graph
    graph.close()


@pytest.fixture(scope="module")
def start_node(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start node processes that end with the module: `start_node("mapper", **parameters)`."""
    from graph import NodeProcess

    folder = tmp_path_factory.mktemp("node_logs")
    started: list[NodeProcess] = []

    def start(name: str, *arguments: str, **parameters: object) -> NodeProcess:
        log: Path = folder / f"{name}_{len(started)}.log"
        started.append(NodeProcess(name, log, *arguments, **parameters))
        return started[-1]

    yield start
    for node in started:
        node.stop()
