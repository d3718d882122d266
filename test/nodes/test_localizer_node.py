# SPDX-License-Identifier: Apache-2.0
"""The localizer in front of a wall: found, lost, moved, and everything that can be wrong."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("rclpy")

from graph import T_BASE_CAMERA, Graph, base_at, wait_for
from journey import MAP_NAME, Place
from localizer_process import Localizer, picture
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2
from std_srvs.srv import Trigger

from ace_ros.geometry.metrics import pose_error
from ace_ros.geometry.se3 import inverse
from ace_ros.maps.scene_map import SceneMap
from ace_ros.msg import LocalizationStatus
from ace_ros.nodes.conversions import matrix_of_pose, matrix_of_transform, stamp_ns
from ace_ros.srv import LoadMap

Status = LocalizationStatus


@pytest.fixture(scope="module")
def localizer(graph: Graph, start_node: Any, place: Place) -> Localizer:
    process = start_node(
        "localizer", data_dir=place.data_dir, device="cpu", lost_after_s=600.0, pose_timeout_s=0.5
    )
    localizer = Localizer(graph, process, place.scene)
    assert (localizer.status.state, localizer.status.reason) == (Status.NO_MAP, Status.REASON_NO_MAP)
    response = localizer.load(MAP_NAME)
    assert response.success and response.map_frame == "map", response.message
    wait_for("the state LOST", lambda: localizer.status.state == Status.LOST)
    assert localizer.status.map_name == MAP_NAME and math.isnan(localizer.status.since_pose_s)
    return localizer


@pytest.fixture(autouse=True)
def undisturbed(localizer: Localizer) -> None:
    """Begin every test at the same place: nothing is known of the robot."""
    localizer.set("gate_distance_m", 1.0)
    localizer.set("lost_after_images", 50)
    future = localizer.graph.begin_call(Trigger, "/ace/relocalize")
    while not future.done():  # whether request or image arrives first is not sure
        localizer.show_black()
    assert not future.result().success
    wait_for("the state LOST", lambda: localizer.status.state == Status.LOST)


def test_the_robot_is_found_where_it_is(localizer: Localizer) -> None:
    errors = []
    for number, frame in enumerate(localizer.frames):
        status = localizer.show_frame(number)
        assert status.reason == Status.REASON_NONE, status.message
        assert status.state == Status.LOCALIZED and status.inliers > 0 and status.latency_ms > 0
        pose = wait_for("its pose", localizer.newest_pose)
        assert pose.header.frame_id == "map"
        covariance = np.asarray(pose.pose.covariance).reshape(6, 6)
        assert np.linalg.eigvalsh(covariance).min() > 0
        T_map_base = frame.T_map_camera @ inverse(T_BASE_CAMERA)
        errors.append(float(pose_error(matrix_of_pose(pose.pose.pose), T_map_base)[0]))
    assert np.median(errors) < 0.01 and max(errors) < 0.03


def test_map_to_odom_is_sent_again_and_again_and_dated_ahead(localizer: Localizer) -> None:
    localizer.find()
    begun, before = time.time_ns(), len(localizer.corrections())
    wait_for("ten transforms", lambda: len(localizer.corrections()) >= before + 10)
    assert time.time_ns() - begun < 5e9
    last = localizer.corrections()[-1]
    assert stamp_ns(last.header.stamp) > begun
    T_map_odom = matrix_of_transform(last.transform)
    assert float(pose_error(T_map_odom, torch.eye(4, dtype=torch.float64))[0]) < 0.05


def test_a_lost_robot_is_told_and_no_transform_is_sent(localizer: Localizer) -> None:
    localizer.find()
    localizer.set("lost_after_images", 2)
    first = localizer.show_black()
    assert first.state == Status.LOCALIZED and first.reason != Status.REASON_NONE
    second = localizer.show_black()
    assert second.state == Status.LOST and second.since_pose_s > 0
    before, poses = len(localizer.corrections()), len(localizer.poses)
    silent_since = time.monotonic()
    while time.monotonic() < silent_since + 0.5:  # ten periods of the transform
        localizer.show_black()
    assert len(localizer.corrections()) <= before + 1 and len(localizer.poses) == poses


def test_the_robot_is_lost_when_images_stop(localizer: Localizer) -> None:
    localizer.set("lost_after_s", 0.5)
    localizer.find()
    wait_for("the state LOST", lambda: localizer.status.state == Status.LOST)
    assert "no pose was accepted for" in localizer.status.message
    localizer.set("lost_after_s", 600.0)


def test_a_contradicting_pose_moves_the_robot_only_when_confirmed(localizer: Localizer) -> None:
    number = localizer.find()
    poses = len(localizer.poses)
    first = localizer.show_frame(number, moved=4.0)
    assert (first.state, first.reason) == (Status.LOCALIZED, Status.REASON_NOT_CONFIRMED)
    assert len(localizer.poses) == poses
    second = localizer.show_frame(number, moved=4.0)
    assert (second.state, second.reason) == (Status.LOCALIZED, Status.REASON_NONE)
    before = len(localizer.corrections())
    wait_for("a transform", lambda: len(localizer.corrections()) > before + 1)
    x = localizer.corrections()[-1].transform.translation.x
    assert x == pytest.approx(-4.0, abs=0.05)


def test_relocalize_answers_with_the_result_of_the_next_image(localizer: Localizer) -> None:
    number = localizer.find()
    states = len(localizer.statuses)
    future = localizer.graph.begin_call(Trigger, "/ace/relocalize")
    wait_for("the state LOST", lambda: any(s.state == Status.LOST for s in localizer.statuses[states:]))
    localizer.show_frame(number, moved=9.0)  # nothing is remembered, so nothing contradicts
    wait_for("an answer", future.done)
    assert future.result().success and "of the image agrees" in future.result().message


@pytest.mark.parametrize("kind", ["missing", "slash", "text", "truncated", "pickle"])
def test_a_map_that_cannot_be_loaded_leaves_the_old_one(
    localizer: Localizer, place: Place, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "other.safetensors"
    contents = {
        "text": b"not a map",
        "truncated": place.map_path.read_bytes()[:5000],
        "pickle": b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00",
    }
    path.write_bytes(contents.get(kind, b""))
    response = localizer.load({"missing": "elsewhere", "slash": "../other"}.get(kind, str(path)))
    expected = LoadMap.Response.NOT_FOUND if kind in ("missing", "slash") else LoadMap.Response.INVALID_MAP
    assert (response.success, response.result, response.map_frame) == (False, expected, "map")
    assert response.message and localizer.status.map_name == MAP_NAME
    localizer.find()


def test_images_of_other_sizes_and_encodings_are_localized(localizer: Localizer) -> None:
    frame = localizer.frames[localizer.find()]
    localizer.set("gate_distance_m", 5.0)
    for share, interpolation in ((1.5, cv2.INTER_LINEAR), (0.8, cv2.INTER_AREA)):
        size = tuple(round(share * n) for n in frame.camera.size)
        localizer.use(frame.camera.resize(*size))
        pixels = cv2.resize(picture(frame), size, interpolation=interpolation)
        assert localizer.show(pixels, frame.T_map_camera).reason == Status.REASON_NONE
    localizer.use(frame.camera)
    grey = cv2.cvtColor(picture(frame), cv2.COLOR_BGR2GRAY)
    assert localizer.show(grey, frame.T_map_camera).reason == Status.REASON_NONE
    rgb = np.ascontiguousarray(picture(frame)[..., ::-1])
    assert localizer.show(rgb, frame.T_map_camera, encoding="rgb8").reason == Status.REASON_NONE


def test_images_that_cannot_be_used_are_told(localizer: Localizer) -> None:
    frame, robot = localizer.frames[0], localizer.robot
    status = localizer.show(picture(frame), frame.T_map_camera, encoding="nonsense")
    assert status.reason == Status.REASON_BAD_IMAGE and "'nonsense'" in status.message
    status = localizer.show(cv2.resize(picture(frame), (100, 80)), frame.T_map_camera)
    assert status.reason == Status.REASON_NO_CAMERA
    assert "100x80, its camera_info says {}x{}".format(*robot.camera.size) in status.message

    def shown() -> Any:
        robot.tick()
        robot.publish_info(k=[0.0] * 9)
        robot.publish_image(picture(frame))
        return localizer.answer()

    status = wait_for("the calibration", lambda: (s := shown()).reason == Status.REASON_NO_CAMERA and s)
    assert "all-zero K" in status.message


def test_odometry_that_is_missing_or_jumps_back_is_told(localizer: Localizer) -> None:
    number = localizer.find()
    robot, frame = localizer.robot, localizer.frames[number]
    robot.tick(3.0)
    robot.publish_image(picture(frame))
    status = localizer.answer()
    assert status.reason == Status.REASON_NO_ODOMETRY
    assert "odometry stopped 3.00 s before the image" in status.message
    robot.tick(-8.05)  # to a stamp between those of earlier images, whose statuses are known
    robot.publish_tf(base_at(0.0))
    robot.tick(0.01)
    robot.publish_tf(base_at(0.0))
    wait_for("the state LOST", lambda: localizer.status.state == Status.LOST)
    assert "time jumped back" in localizer.status.message
    assert localizer.show_frame(number).reason == Status.REASON_NONE


def test_the_map_can_be_looked_at(localizer: Localizer, place: Place) -> None:
    clouds = localizer.graph.collect(PointCloud2, "/ace/map_cloud")
    cloud = wait_for("the cloud of the map", lambda: clouds and clouds[-1])
    points = len(SceneMap.load(place.map_path).cloud()[0])
    assert cloud.width == points > 0 and cloud.header.frame_id == "map"
    sensor = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    pictures = localizer.graph.collect(Image, "/ace/debug_image", sensor)
    deadline = time.monotonic() + 30.0
    while not pictures:  # it is only drawn once somebody is known to look
        assert time.monotonic() < deadline
        localizer.show_frame(0)
    assert (pictures[0].width, pictures[0].encoding) == (localizer.robot.camera.size[0], "bgr8")


def test_the_node_ends_in_order(localizer: Localizer) -> None:
    localizer.show_frame(0)
    assert localizer.process.stop() == 0
    assert "Traceback" not in localizer.process.output
