# SPDX-License-Identifier: Apache-2.0
"""The player node: publishes a scene folder as a robot would publish its drive, stamped now."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster
from torch import Tensor

from ace_ros.data.image_file import read_image
from ace_ros.data.scene import Frame, load_scene
from ace_ros.errors import ConfigError
from ace_ros.geometry.se3 import from_rotation_translation, inverse, so3_exp
from ace_ros.nodes.conversions import fill_camera_info, fill_transform
from ace_ros.nodes.faults import Faults
from ace_ros.nodes.images import compressed_message, image_message, to_bgr
from ace_ros.nodes.listeners import Listeners, nobody_hears
from ace_ros.nodes.options import PlayerConfig
from ace_ros.nodes.parameters import Parameters

# Axes of a camera (right, down, forward) in a body that looks along x (forward, left, up).
R_BODY_OPTICAL = torch.tensor([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]], dtype=torch.float64)
LAST_DELIVERY_S = 1.0


class Player(Node):
    """Topics image (or image/compressed), camera_info; tf odom -> base and, static, base -> camera."""

    def __init__(self) -> None:
        super().__init__("player", automatically_declare_parameters_from_overrides=True)
        self.faults = Faults(self)
        self._config: PlayerConfig = Parameters(self, PlayerConfig)[PlayerConfig]
        if not self._config.scene:
            raise ConfigError("parameter scene is empty, expected the folder of a scene")
        self._frames = load_scene(Path(self._config.scene).expanduser(), self._config.split).frames
        self._next = 0
        self._T_base_camera = camera_mount(self._config)
        self._compressed = self._config.image_transport == "compressed"
        kind, topic = (CompressedImage, "image/compressed") if self._compressed else (Image, "image")
        self._images = self.create_publisher(kind, topic, 10)
        self._infos = self.create_publisher(CameraInfo, "camera_info", 10)
        self._tf = TransformBroadcaster(self)
        self._tf_static = StaticTransformBroadcaster(self)
        self._publish_mount()
        publishers = (self._images, self._infos, self._tf.pub_tf, self._tf_static.pub_tf)
        self._listeners: Listeners | None = Listeners(
            {publisher.topic_name: publisher for publisher in publishers},
            self._config.wait_for_subscriber_s,
        )
        self.create_timer(1.0 / self._config.rate_hz, self._on_timer)

    def close(self) -> None:
        """Nothing is held."""

    def _publish_mount(self) -> None:
        config = self._config
        mount = self._transform(config.base_frame, config.camera_frame, self._T_base_camera)
        self._tf_static.sendTransform(mount)

    def _on_timer(self) -> None:
        if self._listeners is not None:
            if not self._listeners.ready():
                return
            missing = self._listeners.missing()
            if missing:
                self.get_logger().warning(f"{nobody_hears(missing)}; playing all the same")
            self._listeners = None
        if self._next == len(self._frames):
            self.get_logger().info(f"played {len(self._frames)} images of {self._config.scene}")
            if not self._config.loop:
                time.sleep(LAST_DELIVERY_S)
                self.context.try_shutdown()
                return
            self._next = 0
        self._next += 1  # before: one that cannot be played is left out
        self._play(self._frames[self._next - 1])

    def _play(self, frame: Frame) -> None:
        config = self._config
        T_odom_base = frame.T_map_camera @ inverse(self._T_base_camera)
        transform = self._transform(config.odom_frame, config.base_frame, T_odom_base)
        pixels = to_bgr(read_image(frame.image_path))
        header = Header(stamp=transform.header.stamp, frame_id=config.camera_frame)
        self._tf.sendTransform(transform)
        self._infos.publish(fill_camera_info(CameraInfo(header=header), frame.camera))
        message = compressed_message if self._compressed else image_message
        self._images.publish(message(pixels, header))

    def _transform(self, parent: str, child: str, T_parent_child: Tensor) -> Any:
        transform = TransformStamped(child_frame_id=child)
        transform.header.stamp = self.get_clock().now().to_msg()
        transform.header.frame_id = parent
        fill_transform(transform.transform, T_parent_child)
        return transform


def camera_mount(config: PlayerConfig) -> Tensor:
    """Return T_base_camera (4, 4): the camera's optical frame on the robot."""
    tilt = so3_exp(torch.tensor([0.0, math.radians(config.mount_pitch_deg), 0.0], dtype=torch.float64))
    position = torch.tensor([config.mount_x_m, config.mount_y_m, config.mount_z_m], dtype=torch.float64)
    return from_rotation_translation(tilt @ R_BODY_OPTICAL, position)
