# SPDX-License-Identifier: Apache-2.0
"""The mapper with compressed images and with poses from an Odometry topic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("rclpy")

from graph import T_BASE_CAMERA, Graph, Robot, base_at, texture, wait_for
from std_srvs.srv import SetBool

from ace_ros.data.scene import load_scene
from ace_ros.msg import MappingStatus


@pytest.fixture(scope="module")
def statuses(graph: Graph, start_node: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The statuses of a mapper that takes a topic and compressed images."""
    start_node(
        "mapper",
        data_dir=tmp_path_factory.mktemp("odometry"),
        pose_source="topic",
        image_transport="compressed",
        pose_timeout_s=1.0,
    )
    statuses = graph.collect(MappingStatus, "/ace/mapping_status")
    wait_for("the mapper's first status", lambda: statuses, 60.0)
    return statuses


@pytest.fixture(scope="module")
def robot(graph: Graph) -> Robot:
    return Robot(graph)


@pytest.fixture(autouse=True)
def recording(graph: Graph, statuses: list[Any], robot: Robot) -> Iterator[None]:
    before = len(statuses)
    assert graph.call(SetBool, "/ace/record", data=True).success
    wait_for("recording", lambda: len(statuses) > before)
    robot.tick()
    robot.introduce("/ace/mapper")
    yield
    graph.call(SetBool, "/ace/record", data=False)


def drive(robot: Robot, count: int, start: float = 0.0, frame: str = "odom", **changes: Any) -> None:
    """Drive with an odometry message before and after every image."""
    for i in range(count):
        robot.tick(0.05)
        robot.publish_odometry(base_at(start + 0.3 * i), frame)
        robot.tick(0.05)
        robot.publish_image(texture(i), compressed=True, **changes)
        robot.tick(0.05)
        robot.publish_odometry(base_at(start + 0.3 * i + 0.2), frame)
        robot.settle()


def test_keyframes_have_the_poses_of_the_topic(statuses: list[Any], robot: Robot) -> None:
    drive(robot, 4)
    wait_for("4 keyframes", lambda: statuses[-1].keyframes == 4)
    frame = load_scene(Path(statuses[-1].scene)).frames[2]
    torch.testing.assert_close(frame.T_map_camera, base_at(0.7) @ T_BASE_CAMERA, atol=1e-6, rtol=0)


def test_damaged_compressed_images_are_dropped(statuses: list[Any], robot: Robot) -> None:
    drive(robot, 1, data=b"\xff\xd8\xff and nothing more")
    wait_for("the dropped image", lambda: statuses[-1].dropped_image == 1)
    assert "compressed image" in statuses[-1].last_drop


def test_odometry_in_another_frame_is_refused_and_named(statuses: list[Any], robot: Robot) -> None:
    drive(robot, 2)
    wait_for("2 keyframes", lambda: statuses[-1].keyframes == 2)
    drive(robot, 2, start=5.0, frame="odom_combined")
    wait_for("the dropped images", lambda: statuses[-1].dropped_unsynchronised >= 2)
    assert "arrives in frame 'odom_combined', expected 'odom'" in statuses[-1].last_drop
    drive(robot, 2, start=2.0)
    wait_for("odometry in its frame again", lambda: statuses[-1].keyframes == 4)


def test_odometry_that_stops_is_told(statuses: list[Any], robot: Robot) -> None:
    drive(robot, 2)
    robot.tick(2.0)
    robot.publish_image(texture(0), compressed=True)
    wait_for("the dropped image", lambda: statuses[-1].dropped_unsynchronised == 1)
    assert "odometry stopped 2.00 s before the image" in statuses[-1].last_drop


def test_odometry_that_jumps_back_keeps_what_was_recorded(statuses: list[Any], robot: Robot) -> None:
    drive(robot, 3)
    wait_for("3 keyframes", lambda: statuses[-1].keyframes == 3)
    robot.tick(-10.0)
    drive(robot, 1, start=40.0)
    robot.tick(11.0)
    drive(robot, 2, start=50.0)
    wait_for("images dropped after the jump", lambda: statuses[-1].dropped_unsynchronised >= 1)
    assert "odometry time jumped back by" in statuses[-1].last_drop
    scene = load_scene(Path(statuses[-1].scene))
    assert len(scene.frames) == 3 and max(float(f.T_map_camera[0, 3]) for f in scene.frames) < 5.0
