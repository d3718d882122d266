# SPDX-License-Identifier: Apache-2.0
"""A localizer process, the robot that it looks for, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from geometry_msgs.msg import PoseWithCovarianceStamped
from graph import T_BASE_CAMERA, Graph, NodeProcess, Robot, base_at, wait_for
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from ace_ros.data.scene import Frame, load_scene
from ace_ros.geometry.camera import Camera
from ace_ros.msg import LocalizationStatus as Status
from ace_ros.nodes.conversions import stamp_ns
from ace_ros.srv import LoadMap

MANY = QoSProfile(depth=200)


class Localizer:
    """A localizer process, the robot it looks for, and what it says."""

    def __init__(self, graph: Graph, process: NodeProcess, scene: Path) -> None:
        self.graph, self.process = graph, process
        self.statuses: list[Any] = graph.collect(Status, "/ace/localization_status")
        self.poses: list[Any] = graph.collect(PoseWithCovarianceStamped, "/ace/pose", MANY)
        self.tf: list[Any] = graph.collect(TFMessage, "/tf", MANY)
        self.frames = load_scene(scene, "test").frames
        self.robot = Robot(graph, self.frames[0].camera)
        self._found = 0
        wait_for("the localizer's first status", lambda: self.statuses, 90.0)
        self.robot.introduce("/ace/localizer")

    @property
    def status(self) -> Any:
        return self.statuses[-1]

    def corrections(self) -> list[Any]:
        """Return the transforms map -> odom that were sent."""
        transforms = [t for message in list(self.tf) for t in message.transforms]
        return [t for t in transforms if (t.header.frame_id, t.child_frame_id) == ("map", "odom")]

    def show(self, pixels: np.ndarray, T_odom_camera: torch.Tensor, **changes: Any) -> Any:
        """Show the localizer one image and return the status that it gives."""
        self.robot.look(pixels, T_odom_camera, **changes)
        return self.answer()

    def answer(self) -> Any:
        """Return the status of the robot's newest image."""
        stamp = self.robot.stamp

        def found() -> Any:
            return next((s for s in reversed(self.statuses) if stamp_ns(s.header.stamp) == stamp), None)

        status = wait_for("a status of the image", found, 60.0)
        self.process.assert_alive()
        return status

    def newest_pose(self) -> Any:
        """Return the pose of the robot's newest image, None where it has not arrived."""
        pose = self.poses[-1] if self.poses else None
        return pose if pose and stamp_ns(pose.header.stamp) == self.robot.stamp else None

    def show_frame(self, number: int, moved: float = 0.0) -> Any:
        """Show a test image; odometry has drifted by `moved` metres along x."""
        frame = self.frames[number % len(self.frames)]
        return self.show(picture(frame), base_at(moved) @ frame.T_map_camera)

    def set(self, name: str, value: Any) -> None:
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        results = self.graph.call(SetParameters, "/ace/localizer/set_parameters", parameters=parameters)
        assert results.results[0].successful, results.results[0].reason

    def use(self, camera: Camera) -> None:
        """Change the camera; image and camera_info are two topics, so the order is not sure."""
        self.robot.camera = camera
        wait_for("the camera", lambda: self.show_black().reason != Status.REASON_NO_CAMERA)

    def show_black(self) -> Any:
        """Show an image in which nothing can be seen."""
        width, height = self.robot.camera.size
        return self.show(np.zeros((height, width, 3), np.uint8), base_at(0.0) @ T_BASE_CAMERA)

    def find(self) -> int:
        """Show test images until one is localized; return its number."""
        for number in range(self._found, self._found + len(self.frames)):
            if self.show_frame(number).reason == Status.REASON_NONE:
                self._found = number % len(self.frames)
                return self._found
        raise AssertionError(f"no test image was localized: {self.status.message}")

    def load(self, name: str, place: str = "") -> Any:
        return self.graph.call(LoadMap, "/ace/load_map", map=name, place=place)


def picture(frame: Frame) -> np.ndarray:
    return cv2.imread(str(frame.image_path))
