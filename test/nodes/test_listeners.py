# SPDX-License-Identifier: Apache-2.0
"""Nothing is played before it is heard, and nobody waits for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from graph import LATCHED, Graph, wait_for
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from wall_scene import write_wall_scene

from ace_ros.nodes.conversions import stamp_ns
from ace_ros.nodes.listeners import SETTLE_S, Listeners, nobody_hears

MANY = QoSProfile(depth=100)


class Counted:
    """A publisher with so many subscribers."""

    count = 0

    def get_subscription_count(self) -> int:
        return self.count


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("ace_ros.nodes.listeners.time.monotonic", lambda: now[0])
    return now


def test_all_topics_are_waited_for_and_then_a_little_for_more(clock: list[float]) -> None:
    image, tf = Counted(), Counted()
    listeners = Listeners({"/image": image, "/tf": tf}, patience_s=10.0)
    image.count = 1
    clock[0] += 2.0
    assert not listeners.ready() and listeners.missing() == ["/tf"]
    tf.count = 1
    assert not listeners.ready()
    clock[0] += 0.8 * SETTLE_S
    tf.count = 2
    assert not listeners.ready() and listeners.missing() == []
    clock[0] += 0.8 * SETTLE_S
    assert not listeners.ready()
    clock[0] += 0.3 * SETTLE_S
    assert listeners.ready()


def test_patience_runs_out(clock: list[float]) -> None:
    listeners = Listeners({"/image": Counted(), "/tf": Counted()}, patience_s=10.0)
    assert not listeners.ready()
    clock[0] += 10.0
    assert listeners.ready()
    assert nobody_hears(listeners.missing()) == "nobody subscribes to /image, /tf"
    assert nobody_hears([]) == ""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("played") / "wall"
    write_wall_scene(folder, frames=12, test_frames=2)
    return folder


def test_the_player_waits_for_all_that_it_sends(graph: Graph, start_node: Any, scene: Path) -> None:
    images = graph.collect(Image, "/ace/image", MANY)
    infos = graph.collect(CameraInfo, "/ace/camera_info", MANY)
    mounts = graph.collect(TFMessage, "/tf_static", LATCHED)
    player = start_node("player", scene=scene, rate_hz=20.0, wait_for_subscriber_s=60.0)
    wait_for("the camera's place on the robot", lambda: mounts, 60.0)
    assert not images
    transforms = graph.collect(TFMessage, "/tf", MANY)
    assert player.process.wait(60.0) == 0, player.output
    wait_for("the last image", lambda: len(images) == 12)
    assert "nobody" not in player.output
    stamps = [stamp_ns(m.header.stamp) for m in images]
    assert [stamp_ns(m.header.stamp) for m in infos] == stamps
    assert {stamp_ns(t.header.stamp) for m in transforms for t in m.transforms} >= set(stamps)


def test_the_player_says_who_does_not_listen(graph: Graph, start_node: Any, scene: Path) -> None:
    remap = ("-r", "image:=/deaf/image")
    player = start_node("player", *remap, scene=scene, rate_hz=100.0, wait_for_subscriber_s=0.5)
    assert player.process.wait(60.0) == 0
    assert "nobody subscribes to /deaf/image" in player.output
    assert "played 12 images" in player.output
