# SPDX-License-Identifier: Apache-2.0
"""The localizer while things fail: killed, without odometry, with a clock set back, flooded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random

from struck_graph import PATIENCE_S, StruckGraph

Attempt = Callable[[str], bool]


class LocalizerFaults:
    """A localizer with a map; each method that takes a key makes a trial, and returns whether it struck."""

    name = "localizer"

    def __init__(self, at: StruckGraph) -> None:
        self.at = at
        self._looks = 0

    def missing(self, kind: str) -> str:
        """Return why a kind of fault cannot be tried here; empty where it can."""
        return ""

    def kinds(self) -> Iterator[tuple[str, Attempt]]:
        """Yield kinds of faults, and what makes a trial of each."""
        yield "kill", self.kill
        yield "odometry cut", self.cut_odometry
        yield "clock set back", self.set_clock_back
        yield "flood of services", self.flood

    def find(self) -> None:
        """Assert that the localizer finds the robot."""
        from graph import wait_for

        from ace_ros.msg import LocalizationStatus

        def found() -> bool:
            self.look()
            return self.at.status("localizer").state == LocalizationStatus.LOCALIZED

        wait_for("a pose", found, PATIENCE_S)

    def look(self, with_odometry: bool = True) -> None:
        number = self._looks = self._looks + 1
        frame, picture = (of[number % len(self.at.frames)] for of in (self.at.frames, self.at.pictures))
        if with_odometry:
            self.at.robot.look(picture, frame.T_map_camera)
        else:
            self.at.robot.tick()
            self.at.robot.publish_image(picture)
        time.sleep(0.1)

    def kill(self, key: str) -> bool:
        random, node = Random(key), self.at.node("localizer")
        until = time.monotonic() + random.uniform(0.0, 2.0)
        while time.monotonic() < until:
            self.look()
        node.process.kill()
        node.process.wait()
        self.at.node("localizer")
        self.find()
        return True

    def cut_odometry(self, key: str) -> bool:
        from graph import wait_for

        from ace_ros.msg import LocalizationStatus

        node, random = self.at.node("localizer"), Random(key)
        self.find()

        def refused() -> bool:
            self.look(with_odometry=False)
            newest = self.at.said["localizer"][-3:]
            return any(status.reason == LocalizationStatus.REASON_NO_ODOMETRY for status in newest)

        wait_for("an image without odometry", refused)
        for _ in range(random.randint(0, 5)):
            self.look(with_odometry=False)
        node.assert_alive()
        self.find()
        return True

    def set_clock_back(self, key: str) -> bool:
        node, random = self.at.node("localizer"), Random(key)
        self.find()
        self.at.robot.tick(-random.choice((0.5, 5.0, 3600.0)))
        for _ in range(random.randint(1, 5)):
            self.look()
        node.assert_alive()
        self.find()
        return True

    def flood(self, key: str) -> bool:
        from std_srvs.srv import Trigger

        from ace_ros.srv import LoadMap

        node, random = self.at.node("localizer"), Random(key)
        self.find()
        for _ in range(12):
            if random.random() < 0.7:
                name = random.choice(("no_such_map", "../x", "", "wall"))
                self.at.graph.begin_call(LoadMap, "/ace/load_map", map=name)
            else:
                self.at.graph.begin_call(Trigger, "/ace/relocalize")
            self.look()
        node.assert_alive()
        assert self.at.ask(LoadMap, "/ace/load_map", map="wall").success
        self.find()
        return True
