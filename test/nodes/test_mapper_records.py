# SPDX-License-Identifier: Apache-2.0
"""The mapper while a robot drives, and everything that can go wrong then."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("rclpy")

from graph import LATCHED, T_BASE_CAMERA, Graph, Robot, base_at, texture, wait_for
from mapper_process import Mapper
from nav_msgs.msg import Path
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from ace_ros.data.scene import load_scene, read_grey
from ace_ros.msg import MappingStatus
from ace_ros.network.input import to_grey

COUNTED = (
    "skipped_near", "dropped_blurred", "dropped_duplicate", "dropped_unsynchronised", "dropped_camera",
    "dropped_image", "dropped_storage",
)  # fmt: skip


@pytest.fixture(scope="module")
def robot(graph: Graph) -> Robot:
    return Robot(graph)


@pytest.fixture(scope="module")
def mapper(graph: Graph, start_node: Any, tmp_path_factory: pytest.TempPathFactory) -> Mapper:
    data_dir = tmp_path_factory.mktemp("mapper")
    return Mapper(graph, start_node("mapper", data_dir=data_dir, pose_timeout_s=1.0), data_dir)


@pytest.fixture
def recording(mapper: Mapper, robot: Robot) -> Iterator[Mapper]:
    """The mapper while it records, with odometry and calibration arriving; nothing is recorded yet."""
    response = mapper.record(True)
    assert response.success, response.message
    robot.tick()
    robot.introduce("/ace/mapper")
    robot.publish_tf(base_at(0.0))
    yield mapper
    mapper.record(False)


def drive(robot: Robot, count: int, start: float = 0.0, step: float = 0.3) -> None:
    """Drive forward with sharp images."""
    for i in range(count):
        robot.look(texture(i), base_at(start + i * step) @ T_BASE_CAMERA)


def finish(mapper: Mapper, images: int) -> Any:
    """Wait until a number of images has arrived, stop, and return the status after it."""
    wait_for(f"{images} images", lambda: mapper.status.images >= images)
    mapper.record(False)
    return mapper.status


def test_a_drive_becomes_a_scene_that_can_be_read(recording: Mapper, robot: Robot) -> None:
    paths = recording.graph.collect(Path, "/ace/keyframes", LATCHED)
    drive(robot, 8)
    drive(robot, 4, start=2.1, step=0.01)  # nearly standing still
    status = finish(recording, 12)
    assert (status.state, status.keyframes, status.skipped_near) == (MappingStatus.IDLE, 8, 4)
    assert status.images == status.keyframes + sum(getattr(status, name) for name in COUNTED)
    assert status.distance_m == pytest.approx(2.1, abs=1e-3)
    scene = load_scene(FilePath(status.scene))
    assert FilePath(status.scene).parent == recording.data_dir / "scenes"
    torch.testing.assert_close(scene.frames[3].T_map_camera, base_at(0.9) @ T_BASE_CAMERA)
    torch.testing.assert_close(scene.frames[3].camera.matrix, robot.camera.matrix)
    recorded = read_grey(scene.frames[3].image_path)
    assert np.abs(recorded.astype(int) - to_grey(texture(3))).mean() < 3.0
    path = wait_for("the path of the keyframes", lambda: paths and len(paths[-1].poses) == 8 and paths[-1])
    assert path.header.frame_id == "odom"


def test_turning_on_the_spot_makes_keyframes(recording: Mapper, robot: Robot) -> None:
    for i in range(5):
        robot.look(texture(i), base_at(0.0, yaw=0.2 * i) @ T_BASE_CAMERA)
    assert finish(recording, 5).keyframes == 5


def test_poses_are_interpolated_between_odometry(recording: Mapper, robot: Robot) -> None:
    robot.tick()
    robot.publish_tf(base_at(1.0))
    robot.tick(0.05)
    robot.publish_image(texture(0))
    robot.tick(0.05)
    robot.publish_tf(base_at(2.0))
    assert finish(recording, 1).keyframes == 1
    frame = load_scene(FilePath(recording.status.scene)).frames[0]
    torch.testing.assert_close(frame.T_map_camera, base_at(1.5) @ T_BASE_CAMERA, atol=1e-6, rtol=0)


def test_blurred_and_repeated_images_are_dropped(recording: Mapper, robot: Robot) -> None:
    drive(robot, 3)
    robot.look(cv2.blur(texture(0), (41, 1)), base_at(2.0) @ T_BASE_CAMERA)
    robot.publish_image(texture(1))  # the same stamp again
    status = finish(recording, 5)
    assert (status.keyframes, status.dropped_blurred, status.dropped_duplicate) == (3, 1, 1)
    assert "has the stamp of the one before" in status.last_drop


@pytest.mark.parametrize(
    ("changes", "count", "sentence"),
    [
        ({"encoding": "jpeg2000"}, "dropped_image", "image encoding 'jpeg2000'"),
        ({"step": 1}, "dropped_image", "step 1"),
    ],
)
def test_images_that_cannot_be_read_are_dropped(
    recording: Mapper, robot: Robot, changes: dict[str, Any], count: str, sentence: str
) -> None:
    robot.look(texture(0), base_at(0.0) @ T_BASE_CAMERA, **changes)
    status = finish(recording, 1)
    assert getattr(status, count) == 1 and status.keyframes == 0
    assert sentence in status.last_drop


def test_images_of_another_size_than_the_first_are_dropped(recording: Mapper, robot: Robot) -> None:
    drive(robot, 2)
    robot.look(texture(0, (160, 120)), base_at(2.0) @ T_BASE_CAMERA)
    wait_for("the small image", lambda: recording.status.dropped_camera == 1)
    assert "160x120, its camera_info says 320x240" in recording.status.last_drop
    robot.tick()
    half = [130.0, 0.0, 79.5, 0.0, 130.0, 59.5, 0.0, 0.0, 1.0]
    robot.introduce("/ace/mapper", width=160, height=120, k=half)
    robot.publish_tf(base_at(3.0))
    robot.publish_image(texture(0, (160, 120)))
    status = finish(recording, 4)
    assert (status.keyframes, status.dropped_camera) == (2, 2)
    assert "160x120, the first keyframe 320x240" in status.last_drop


def test_an_all_zero_camera_info_drops_images(recording: Mapper, robot: Robot) -> None:
    robot.tick()
    robot.introduce("/ace/mapper", k=[0.0] * 9)
    robot.publish_tf(base_at(0.0))
    robot.publish_image(texture(0))
    status = finish(recording, 1)
    assert status.dropped_camera == 1 and "all-zero K" in status.last_drop


def test_odometry_that_stops_drops_images_and_the_rest_goes_on(recording: Mapper, robot: Robot) -> None:
    drive(robot, 2)
    robot.tick(1.2)
    robot.publish_image(texture(2))
    wait_for("the image to be given up", lambda: recording.status.dropped_unsynchronised == 1)
    assert "odometry stopped 1.20 s before the image" in recording.status.last_drop
    drive(robot, 2, start=1.0)
    assert finish(recording, 5).keyframes == 4


def test_odometry_that_jumps_back_ends_what_can_be_recorded(recording: Mapper, robot: Robot) -> None:
    drive(robot, 3)
    wait_for("3 keyframes", lambda: recording.status.keyframes == 3)
    robot.tick(-5.0)
    drive(robot, 2, start=50.0)
    robot.tick(6.0)
    drive(robot, 2, start=60.0)
    status = finish(recording, 7)
    assert status.keyframes == 3 and status.dropped_unsynchronised == 2 and status.dropped_duplicate == 2
    assert "odometry time jumped back by" in status.last_drop and "start a new recording" in status.last_drop
    positions = [float(f.T_map_camera[0, 3]) for f in load_scene(FilePath(status.scene)).frames]
    assert max(positions) < 5.0


def test_frames_that_are_not_connected_are_named(recording: Mapper, robot: Robot) -> None:
    robot.tick()
    robot.publish_image(texture(0), header=_header(robot, "other_camera"))
    status = finish(recording, 1)
    assert status.dropped_unsynchronised == 1 and "'other_camera'" in status.last_drop


def _header(robot: Robot, frame: str) -> Any:
    from std_msgs.msg import Header

    header = Header(frame_id=frame)
    header.stamp.sec, header.stamp.nanosec = divmod(robot.stamp, 1_000_000_000)
    return header


def test_recording_twice_and_stopping_twice_are_answered(recording: Mapper, robot: Robot) -> None:
    again = recording.record(True)
    assert not again.success and "runs already" in again.message
    assert recording.record(False).success
    assert recording.record(False).message == "nothing was being recorded"


def test_a_recording_can_be_continued(recording: Mapper, robot: Robot) -> None:
    drive(robot, 3)
    assert finish(recording, 3).keyframes == 3
    scene = recording.status.scene
    set_parameter(recording.graph, "continue_recording", True)
    try:
        assert recording.record(True).success
        drive(robot, 2, start=2.0)
        status = finish(recording, 2)
    finally:
        set_parameter(recording.graph, "continue_recording", False)
    assert (status.scene, status.keyframes, recording.frames()) == (scene, 5, 5)


def set_parameter(graph: Graph, name: str, value: object) -> None:
    parameters = [Parameter(name, value=value).to_parameter_msg()]
    response = graph.call(SetParameters, "/ace/mapper/set_parameters", parameters=parameters)
    assert response.results[0].successful, response.results[0].reason


def test_a_full_disk_ends_the_recording_and_keeps_what_is_there(mapper: Mapper, robot: Robot) -> None:
    assert mapper.record(True).success
    drive(robot, 3)
    wait_for("3 keyframes", lambda: mapper.status.keyframes == 3)
    pid, limits = mapper.process.process.pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    try:
        drive(robot, 2, start=5.0)
        wait_for("the state FAILED", lambda: mapper.status.state == MappingStatus.FAILED)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    status = mapper.status
    assert "recording ended" in status.message and "3 keyframes before are kept" in status.message
    assert status.dropped_storage >= 1 and mapper.frames() == 3
    assert mapper.record(True).success
    drive(robot, 2, start=8.0)
    assert finish(mapper, 2).keyframes == 2


def test_a_killed_mapper_leaves_a_scene_that_can_be_read(
    graph: Graph, start_node: Any, mapper: Mapper, robot: Robot, tmp_path: FilePath
) -> None:
    mapper.process.stop()  # two mappers would answer to one name
    mapper.statuses.clear()
    other = Mapper(graph, start_node("mapper", data_dir=tmp_path, scene_name="drive"), tmp_path)
    status_before_info = other.record(True)
    assert status_before_info.success
    robot.tick()
    robot.publish_tf(base_at(0.0))
    robot.publish_image(texture(0))
    wait_for("an image without camera_info", lambda: other.status.dropped_camera == 1)
    assert other.status.last_drop == "no camera_info has arrived on /ace/camera_info"
    drive(robot, 6)
    wait_for("keyframes", lambda: other.status.keyframes >= 3)
    other.process.process.kill()
    other.process.process.wait()
    assert len(load_scene(tmp_path / "scenes" / "drive").frames) >= 3
