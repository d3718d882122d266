# SPDX-License-Identifier: Apache-2.0
"""The mapper while things fail: killed, on bad disks, without odometry, with a clock set back, flooded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from struck_graph import StruckGraph

Attempt = Callable[[str], bool]
DISKS = {"full": "f", "EIO": "e"}  # and their letters in faults.c


class MapperFaults:
    """A mapper that records; every method that takes a key makes one trial, and returns whether it struck."""

    name = "mapper"

    def __init__(self, at: StruckGraph) -> None:
        self.at = at
        self._images = 0

    def missing(self, kind: str) -> str:
        """Return why a kind of fault cannot be tried here; empty where it can."""
        return "no C compiler" if kind in DISKS and not self.at.has_library else ""

    def kinds(self) -> Iterator[tuple[str, Attempt]]:
        """Yield kinds of faults, and what makes a trial of each."""
        yield "kill", self.kill
        yield "full", lambda key: self.bad_disk(key, "full")
        yield "EIO", lambda key: self.bad_disk(key, "EIO")
        yield "odometry cut", self.cut_odometry
        yield "clock set back", self.set_clock_back
        yield "flood of services", self.flood

    def record(self, on: bool) -> Any:
        from std_srvs.srv import SetBool

        response = self.at.ask(SetBool, "/ace/record", data=on)
        assert response.success or "runs already" in response.message, response.message
        return response

    def drive(self, seconds: float, with_odometry: bool = True) -> None:
        """Drive forward with sharp images at 20 Hz or less."""
        from graph import T_BASE_CAMERA, base_at, texture

        until = time.monotonic() + seconds
        while time.monotonic() < until:
            number = self._images = self._images + 1
            T = base_at(0.3 * number) @ T_BASE_CAMERA
            if with_odometry:
                self.at.robot.look(texture(number % 50), T)
            else:
                self.at.robot.tick()
                self.at.robot.publish_image(texture(number % 50))
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

        self.at.node("mapper")
        self.record(True)
        before = self.at.status("mapper").keyframes

        def driven() -> bool:
            self.drive(0.2)
            return self.at.status("mapper").keyframes > before

        wait_for("keyframes of the next recording", driven)
        self.record(False)
        self.recorded(self.at.status("mapper").scene, self.at.status("mapper").keyframes)

    def kill(self, key: str) -> bool:
        random, node = Random(key), self.at.node("mapper")
        self.record(True)
        self.drive(random.uniform(0.1, 2.5))
        status = self.at.status("mapper")
        node.process.kill()
        node.process.wait()
        self.recorded(status.scene, status.keyframes)
        self.records_again()
        return True

    def bad_disk(self, key: str, kind: str) -> bool:
        from graph import wait_for

        from ace_ros.msg import MappingStatus

        self.at.end("mapper")
        node = self.at.node("mapper", DISKS[kind])
        random = Random(key)
        self.record(True)
        self.drive(random.uniform(0.3, 1.5))
        self.at.switch.touch()
        try:

            def failed() -> bool:
                self.drive(0.2)
                return self.at.status("mapper").state == MappingStatus.FAILED

            wait_for("the state FAILED", failed)
        finally:
            self.at.switch.unlink()
        status = self.at.status("mapper")
        assert str(self.at.data) in status.message and "are kept" in status.message, status.message
        node.assert_alive()
        self.recorded(status.scene, status.keyframes)
        self.records_again()
        self.at.end("mapper")
        return True

    def cut_odometry(self, key: str) -> bool:
        from graph import wait_for

        node, random = self.at.node("mapper"), Random(key)
        self.record(True)
        self.drive(random.uniform(0.2, 1.0))
        before = self.at.status("mapper").dropped_unsynchronised
        self.drive(random.uniform(0.2, 0.6), with_odometry=False)
        wait_for("images without poses", lambda: self.at.status("mapper").dropped_unsynchronised > before)
        self.record(False)
        node.assert_alive()
        self.records_again()
        return True

    def set_clock_back(self, key: str) -> bool:
        node, random = self.at.node("mapper"), Random(key)
        self.record(True)
        self.drive(random.uniform(0.2, 1.0))
        self.at.robot.tick(-random.choice((0.5, 5.0, 3600.0)))
        self.drive(0.4)
        status = self.at.status("mapper")
        self.record(False)
        node.assert_alive()
        self.recorded(status.scene, status.keyframes)
        self.records_again()
        return True

    def flood(self, key: str) -> bool:
        from std_srvs.srv import SetBool, Trigger

        from ace_ros.srv import Train

        node, random = self.at.node("mapper"), Random(key)
        self.record(True)
        calls = [
            lambda: self.at.graph.begin_call(SetBool, "/ace/record", data=random.random() < 0.5),
            lambda: self.at.graph.begin_call(Trigger, "/ace/cancel_training"),
            lambda: self.at.graph.begin_call(Train, "/ace/train", map_name="x" * random.randint(0, 300)),
        ]
        for _ in range(40):
            random.choice(calls)()
        self.drive(0.3)
        node.assert_alive()
        self.record(False)
        self.at.ask(Trigger, "/ace/cancel_training")
        self.records_again()
        return True
