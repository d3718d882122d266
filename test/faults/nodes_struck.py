# SPDX-License-Identifier: Apache-2.0
"""Mapper and localizer in a real graph while things fail: killed, on bad disks, without odometry, flooded."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import cv2

RUN = 1 + os.getpid() % 100  # apart from other robots on this machine
Attempt = Callable[[str], bool]
ANSWER_S = 3.0  # a request to a node that is just starting may be lost
PATIENCE_S = 60.0


class NodeFaults:
    """Both nodes, started when they are needed, and a robot."""

    def __init__(self, folder: Path, has_library: bool) -> None:
        os.environ.setdefault("ROS_DOMAIN_ID", str(RUN))
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        self._folder, self._has_library = folder / "nodes", has_library
        self._switch = self._folder / "strikes"
        self._nodes: dict[str, Any] = {}
        self._starts = 0
        self.unavailable = ""

    def __enter__(self) -> NodeFaults:
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

    def missing(self, kind: str) -> str:
        """Return why a kind of fault cannot be tried here; empty where it can."""
        needs_library = kind in ("full", "EIO") and not self._has_library
        return self.unavailable or ("no C compiler" if needs_library else "")

    def kinds(self) -> Iterator[tuple[str, str, Attempt]]:
        """Yield node, kind of fault, and what makes a trial of it, given its key."""
        yield "mapper", "kill", self.kill_mapper
        yield "mapper", "full", lambda key: self.bad_disk(key, "full")
        yield "mapper", "EIO", lambda key: self.bad_disk(key, "EIO")
        yield "mapper", "odometry cut", self.cut_odometry
        yield "mapper", "clock set back", self.set_clock_back
        yield "mapper", "flood of services", self.flood_mapper
        self.end("mapper")
        yield "localizer", "kill", self.kill_localizer
        yield "localizer", "odometry cut", self.cut_odometry_of_localizer
        yield "localizer", "flood of services", self.flood_localizer
        self.end("localizer")

    # Nodes

    def node(self, name: str, kind: str = "") -> Any:
        """Return a node that runs, started if there is none; `kind` is of the disk that may fail it."""
        from graph import NodeProcess, wait_for

        if name in self._nodes and self._nodes[name].process.poll() is None:
            return self._nodes[name]
        self._starts += 1
        self.said[name].clear()
        log = self._folder / f"{name}_{self._starts}.log"
        parameters = {"scene_name": "drive"} if name == "mapper" else {"map": "wall"}
        with _environment(FAULTS_FOLDER=self.data, FAULTS_KIND=kind, FAULTS_SWITCH=self._switch):
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

    # The mapper

    def record(self, on: bool) -> Any:
        from std_srvs.srv import SetBool

        response = self.ask(SetBool, "/ace/record", data=on)
        assert response.success or "runs already" in response.message, response.message
        return response

    def drive(self, seconds: float, with_odometry: bool = True) -> None:
        """Drive forward with sharp images at 20 Hz or less."""
        from graph import T_BASE_CAMERA, base_at, texture

        until = time.monotonic() + seconds
        while time.monotonic() < until:
            number = self._images = getattr(self, "_images", 0) + 1
            T = base_at(0.3 * number) @ T_BASE_CAMERA
            if with_odometry:
                self.robot.look(texture(number % 50), T)
            else:
                self.robot.tick()
                self.robot.publish_image(texture(number % 50))
            time.sleep(0.05)

    def recorded(self, scene: str, confirmed: int) -> None:
        """Assert that what the status told of can be read."""
        from ace_ros.data.scene import load_scene, read_grey

        frames = load_scene(Path(scene)).frames if confirmed else ()
        assert len(frames) >= confirmed, f"{len(frames)} of {confirmed} keyframes"
        for frame in frames:
            read_grey(frame.image_path)

    def records_again(self) -> None:
        """Assert that a recording works."""
        from graph import wait_for

        self.node("mapper")
        self.record(True)
        before = self.status("mapper").keyframes

        def driven() -> bool:
            self.drive(0.2)
            return self.status("mapper").keyframes > before

        wait_for("keyframes of the next recording", driven)
        self.record(False)
        self.recorded(self.status("mapper").scene, self.status("mapper").keyframes)

    def kill_mapper(self, key: str) -> bool:
        random, node = Random(key), self.node("mapper")
        self.record(True)
        self.drive(random.uniform(0.1, 2.5))
        status = self.status("mapper")
        node.process.kill()
        node.process.wait()
        self.recorded(status.scene, status.keyframes)
        self.records_again()
        return True

    def bad_disk(self, key: str, kind: str) -> bool:
        from graph import wait_for

        from ace_ros.msg import MappingStatus

        self.end("mapper")
        node = self.node("mapper", disk_kind(kind))
        random = Random(key)
        self.record(True)
        self.drive(random.uniform(0.3, 1.5))
        self._switch.touch()
        try:

            def failed() -> bool:
                self.drive(0.2)
                return self.status("mapper").state == MappingStatus.FAILED

            wait_for("the state FAILED", failed)
        finally:
            self._switch.unlink()
        status = self.status("mapper")
        assert str(self.data) in status.message and "are kept" in status.message, status.message
        node.assert_alive()
        self.recorded(status.scene, status.keyframes)
        self.records_again()
        self.end("mapper")
        return True

    def cut_odometry(self, key: str) -> bool:
        from graph import wait_for

        node, random = self.node("mapper"), Random(key)
        self.record(True)
        self.drive(random.uniform(0.2, 1.0))
        before = self.status("mapper").dropped_unsynchronised
        self.drive(random.uniform(0.2, 0.6), with_odometry=False)
        wait_for("images without poses", lambda: self.status("mapper").dropped_unsynchronised > before)
        self.record(False)
        node.assert_alive()
        self.records_again()
        return True

    def set_clock_back(self, key: str) -> bool:
        node, random = self.node("mapper"), Random(key)
        self.record(True)
        self.drive(random.uniform(0.2, 1.0))
        self.robot.tick(-random.choice((0.5, 5.0, 3600.0)))
        self.drive(0.4)
        status = self.status("mapper")
        self.record(False)
        node.assert_alive()
        self.recorded(status.scene, status.keyframes)
        self.records_again()
        return True

    def flood_mapper(self, key: str) -> bool:
        from std_srvs.srv import SetBool, Trigger

        from ace_ros.srv import Train

        node, random = self.node("mapper"), Random(key)
        self.record(True)
        calls = [
            lambda: self.graph.begin_call(SetBool, "/ace/record", data=random.random() < 0.5),
            lambda: self.graph.begin_call(Trigger, "/ace/cancel_training"),
            lambda: self.graph.begin_call(Train, "/ace/train", map_name="x" * random.randint(0, 300)),
        ]
        for _ in range(40):
            random.choice(calls)()
        self.drive(0.3)
        node.assert_alive()
        self.record(False)
        self.ask(Trigger, "/ace/cancel_training")
        self.records_again()
        return True

    # The localizer

    def find(self) -> None:
        """Assert that the localizer finds the robot."""
        from graph import wait_for

        from ace_ros.msg import LocalizationStatus

        def found() -> bool:
            self.look()
            return self.status("localizer").state == LocalizationStatus.LOCALIZED

        wait_for("a pose", found, PATIENCE_S)

    def look(self, with_odometry: bool = True) -> None:
        number = self._looks = getattr(self, "_looks", 0) + 1
        frame, picture = (of[number % len(self.frames)] for of in (self.frames, self.pictures))
        if with_odometry:
            self.robot.look(picture, frame.T_map_camera)
        else:
            self.robot.tick()
            self.robot.publish_image(picture)
        time.sleep(0.1)

    def kill_localizer(self, key: str) -> bool:
        random, node = Random(key), self.node("localizer")
        until = time.monotonic() + random.uniform(0.0, 2.0)
        while time.monotonic() < until:
            self.look()
        node.process.kill()
        node.process.wait()
        self.node("localizer")
        self.find()
        return True

    def cut_odometry_of_localizer(self, key: str) -> bool:
        from graph import wait_for

        from ace_ros.msg import LocalizationStatus

        node, random = self.node("localizer"), Random(key)
        self.find()

        def refused() -> bool:
            self.look(with_odometry=False)
            return any(s.reason == LocalizationStatus.REASON_NO_ODOMETRY for s in self.said["localizer"][-3:])

        wait_for("an image without odometry", refused)
        for _ in range(random.randint(0, 5)):
            self.look(with_odometry=False)
        node.assert_alive()
        self.find()
        return True

    def flood_localizer(self, key: str) -> bool:
        from std_srvs.srv import Trigger

        from ace_ros.srv import LoadMap

        node, random = self.node("localizer"), Random(key)
        self.find()
        for _ in range(12):
            if random.random() < 0.7:
                name = random.choice(("no_such_map", "../x", "", "wall"))
                self.graph.begin_call(LoadMap, "/ace/load_map", map=name)
            else:
                self.graph.begin_call(Trigger, "/ace/relocalize")
            self.look()
        node.assert_alive()
        assert self.ask(LoadMap, "/ace/load_map", map="wall").success
        self.find()
        return True


def disk_kind(kind: str) -> str:
    """Return the letter of faults.c."""
    return {"full": "f", "EIO": "e"}[kind]


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
