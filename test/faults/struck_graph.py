# SPDX-License-Identifier: Apache-2.0
"""A real graph whose nodes can be struck: killed, on bad disks, without odometry."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

RUN = 1 + os.getpid() % 100  # apart from other robots on this machine
ANSWER_S = 3.0  # a request to a node that is just starting may be lost
PATIENCE_S = 60.0


class StruckGraph:
    """Both nodes, started when they are needed, and a robot."""

    def __init__(self, folder: Path, has_library: bool) -> None:
        os.environ.setdefault("ROS_DOMAIN_ID", str(RUN))
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        self._folder, self.has_library = folder / "nodes", has_library
        self.switch = self._folder / "strikes"
        self._nodes: dict[str, Any] = {}
        self._starts = 0
        self.unavailable = ""

    def __enter__(self) -> StruckGraph:
        try:
            import rclpy  # noqa: F401
        except ImportError:
            self.unavailable = "no ROS 2"
            return self
        from graph import Graph, Robot
        from wall_scene import write_wall_scene

        from ace_ros.data.scene import load_scene
        from ace_ros.msg import LocalizationStatus, MappingStatus
        from support import GOLDEN

        self.data = self._folder / "data"
        (self.data / "maps").mkdir(parents=True)
        shutil.copy(GOLDEN / "wall.safetensors", self.data / "maps")
        write_wall_scene(self._folder / "wall", frames=2, test_frames=8)
        self.frames = load_scene(self._folder / "wall", "test").frames
        self.pictures = [cv2.imread(str(frame.image_path)) for frame in self.frames]
        self.graph = Graph()
        self.robot = Robot(self.graph, self.frames[0].camera)
        self.said = {
            "mapper": self.graph.collect(MappingStatus, "/ace/mapping_status"),
            "localizer": self.graph.collect(LocalizationStatus, "/ace/localization_status"),
        }
        return self

    def __exit__(self, *error: object) -> None:
        for name in list(self._nodes):
            self.end(name)
        if not self.unavailable:
            self.graph.close()

    def node(self, name: str, kind: str = "") -> Any:
        """Return a node that runs, started if there is none; `kind` is of the disk that may fail it."""
        from graph import NodeProcess, wait_for

        if name in self._nodes and self._nodes[name].process.poll() is None:
            return self._nodes[name]
        self._starts += 1
        self.said[name].clear()
        log = self._folder / f"{name}_{self._starts}.log"
        parameters = {"scene_name": "drive"} if name == "mapper" else {"map": "wall"}
        with _environment(FAULTS_FOLDER=self.data, FAULTS_KIND=kind, FAULTS_SWITCH=self.switch):
            self._nodes[name] = NodeProcess(name, log, data_dir=self.data, pose_timeout_s=0.5, **parameters)
        wait_for(f"the {name}", lambda: self.said[name], PATIENCE_S)
        return self._nodes[name]

    def end(self, name: str) -> None:
        """End a node, if it runs."""
        if name in self._nodes:
            self._nodes.pop(name).stop()

    def ask(self, kind: Any, name: str, **fields: Any) -> Any:
        """Call a service of a node that may just have been started."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            future = self.graph.begin_call(kind, name, **fields)
            end = time.monotonic() + ANSWER_S
            while time.monotonic() < end and not future.done():
                time.sleep(0.01)
            if future.done():
                return future.result()
        raise AssertionError(f"no answer of {name} within {PATIENCE_S:.0f} s")

    def status(self, name: str) -> Any:
        return self.said[name][-1]


@contextlib.contextmanager
def _environment(**values: object) -> Iterator[None]:
    """Let processes that are started have more in their environment."""
    before = dict(os.environ)
    os.environ.update({name: str(value) for name, value in values.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
