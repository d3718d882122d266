# SPDX-License-Identifier: Apache-2.0
"""The localizer of a bare camera: there is no odometry, so map -> camera is sent, once per pose."""

from __future__ import annotations

import time
from typing import Any

import cv2
import pytest

pytest.importorskip("rclpy")

from graph import Graph, Robot, wait_for
from journey import MAP_NAME, Place
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from ace_ros.data.scene import load_scene
from ace_ros.geometry.metrics import pose_error
from ace_ros.msg import LocalizationStatus
from ace_ros.nodes.conversions import matrix_of_transform, stamp_ns


def test_map_to_camera_is_sent_at_the_stamps_of_poses_only(
    graph: Graph, start_node: Any, place: Place
) -> None:
    start_node("localizer", data_dir=place.data_dir, map=MAP_NAME, odom_frame="''", base_frame="''")
    statuses = graph.collect(LocalizationStatus, "/ace/localization_status")
    messages = graph.collect(TFMessage, "/tf", QoSProfile(depth=200))
    wait_for("the localizer", lambda: statuses, 60.0)
    frames = load_scene(place.scene, "test").frames
    robot = Robot(graph, frames[0].camera)

    def sent() -> list[Any]:
        transforms = [t for message in list(messages) for t in message.transforms]
        return [t for t in transforms if (t.header.frame_id, t.child_frame_id) == ("map", "camera")]

    true = {}
    for frame in frames:
        robot.tick()
        robot.publish_info()
        time.sleep(0.05)
        robot.publish_image(cv2.imread(str(frame.image_path)))
        true[robot.stamp] = frame.T_map_camera
        wait_for(
            "a status of the image",
            lambda: stamp_ns(statuses[-1].header.stamp) == robot.stamp and statuses[-1].images_tried,
        )
    localized = statuses[-1].images_localized
    assert localized == len(frames)
    wait_for("the transforms", lambda: len(sent()) == localized)
    time.sleep(0.3)
    assert len(sent()) == localized
    for transform in sent():
        T_map_camera = matrix_of_transform(transform.transform)
        assert float(pose_error(T_map_camera, true[stamp_ns(transform.header.stamp)])[0]) < 0.03
