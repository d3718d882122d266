# SPDX-License-Identifier: Apache-2.0
"""What the node tests share. Those that need ROS are skipped where there is no rclpy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import Trained

if TYPE_CHECKING:
    from graph import Graph, NodeProcess
    from journey import Place

# Apart from other tests and robots on this machine; real DDS allows up to 101 on every system.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # gw0, gw1, ... of one run
RUN = os.getppid() + int(WORKER[2:]) if WORKER else os.getpid()
os.environ["ROS_DOMAIN_ID"] = str(1 + RUN % 100)
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@pytest.fixture(scope="session")
def graph() -> Iterator[Graph]:
    """The test's node in the ROS graph."""
    from ace_ros.nodes.surroundings import check_middleware

    check_middleware()  # importing rclpy would end pytest
    pytest.importorskip("rclpy")
    from graph import Graph

    graph = Graph()
    yield graph
    graph.close()


class Starter:
    """Starts node processes, and ends those that still run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[NodeProcess] = []

    def __call__(self, name: str, *arguments: str, **parameters: object) -> NodeProcess:
        from graph import NodeProcess

        log = self._folder / f"{name}_{len(self._started)}.log"
        self._started.append(NodeProcess(name, log, *arguments, **parameters))
        return self._started[-1]

    def stop(self) -> None:
        for node in self._started:
            node.stop()


@pytest.fixture(scope="module")
def start_node(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """Start node processes that end with the module: `start_node("mapper", **parameters)`."""
    starter = Starter(tmp_path_factory.mktemp("node_logs"))
    yield starter
    starter.stop()


@pytest.fixture(scope="session")
def place(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The painted wall, and a data folder with the golden map of it."""
    from journey import Place

    place = Place(trained.scene, tmp_path_factory.mktemp("data"))
    place.map_path.parent.mkdir()
    shutil.copy(trained.map_path, place.map_path)
    return place
