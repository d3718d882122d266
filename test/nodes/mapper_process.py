# SPDX-License-Identifier: Apache-2.0
"""A mapper process and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graph import Graph, NodeProcess, wait_for
from std_srvs.srv import SetBool

from ace_ros.data.scene import load_scene
from ace_ros.msg import MappingStatus


class Mapper:
    """A mapper process and what it says."""

    def __init__(self, graph: Graph, process: NodeProcess, data_dir: Path) -> None:
        self.graph, self.process, self.data_dir = graph, process, data_dir
        self.statuses: list[Any] = graph.collect(MappingStatus, "/ace/mapping_status")
        wait_for("the mapper's first status", lambda: self.statuses, 60.0)

    @property
    def status(self) -> Any:
        return self.statuses[-1]

    def record(self, on: bool) -> Any:
        """Call /ace/record and return the response once its status has arrived."""
        before = len(self.statuses)
        response = self.graph.call(SetBool, "/ace/record", data=on)
        wait_for("a status after record", lambda: len(self.statuses) > before)
        self.process.assert_alive()
        return response

    def frames(self) -> int:
        return len(load_scene(Path(self.status.scene)).frames)
