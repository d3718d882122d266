# SPDX-License-Identifier: Apache-2.0
"""The localizer of a bare camera: there is no odometry, so map -> camera is sent, once per pose."""

from __future__ import annotations

from typing import Any

import cv2
import pytest

pytest.importorskip("rclpy")

from graph import Graph, Robot, wait_for
from journey import MAP_NAME, Place
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from ace_ros.data.scene import Frame, load_scene
from ace_ros.geometry.metrics import pose_error
from ace_ros.msg import LocalizationStatus
from ace_ros.nodes.conversions import matrix_of_transform, stamp_ns


def test_map_to_camera_is_sent_at_the_stamps_of_poses_only(
    graph: Graph, start_node: Any, place: Place
) -> None:
    without = {"odom_frame": "''", "base_frame": "''"}
    start_node("localizer", data_dir=place.data_dir, map=MAP_NAME, tf_rate_hz=100.0, **without)
    statuses = graph.collect(LocalizationStatus, "/ace/localization_status")
    messages = graph.collect(TFMessage, "/tf", QoSProfile(depth=200))
    wait_for("the localizer", lambda: statuses, 60.0)
    frames = load_scene(place.scene, "test").frames
    robot = Robot(graph, frames[0].camera)

    true = {}

    def show(frame: Frame) -> None:
        """Publish an image, which gives a pose."""
        robot.tick()
        robot.publish_image(cv2.imread(str(frame.image_path)))
        wait_for("its status", lambda: stamp_ns(statuses[-1].header.stamp) == robot.stamp)
        assert statuses[-1].reason == LocalizationStatus.REASON_NONE, statuses[-1].message
        true[robot.stamp] = frame.T_map_camera

    def sent() -> dict[int, Any]:
        """Return the transforms so far by their stamps; there are no two of one."""
        transforms = [t for message in list(messages) for t in message.transforms]
        from_map = [t for t in transforms if (t.header.frame_id, t.child_frame_id) == ("map", "camera")]
        by_stamp = {stamp_ns(t.header.stamp): t.transform for t in from_map}
        assert len(by_stamp) == len(from_map)
        return by_stamp

    robot.introduce("/ace/localizer")
    for frame in frames:
        show(frame)
    wait_for("the newest transform", lambda: robot.stamp in sent())
    assert sent().keys() == true.keys()  # though there was time to send more, a hundred in a second
    for stamp, transform in sent().items():
        assert float(pose_error(matrix_of_transform(transform), true[stamp])[0]) < 0.03
