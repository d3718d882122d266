# SPDX-License-Identifier: Apache-2.0
"""Topics as all nodes use them: latched outputs, sensor inputs, publishing while the node ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
NEWEST_SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
SENSOR = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


def publish(node: Node, publisher: Any, message: Any) -> None:
    """Publish from any thread; once ROS has been shut down, nothing happens."""
    try:
        publisher.publish(message)
    except Exception:
        # Worker threads may be at work when a signal ends ROS; each rclpy has its own error for it.
        if node.context.ok():
            raise


def subscribe_camera(
    node: Node,
    transport: str,
    qos: QoSProfile,
    on_image: Callable[[Any], None],
    on_camera_info: Callable[[Any], None],
) -> tuple[Any, Any]:
    """Subscribe to `image` (or `image/compressed`) and `camera_info`; return the subscriptions."""
    compressed = transport == "compressed"
    kind, topic = (CompressedImage, "image/compressed") if compressed else (Image, "image")
    group = MutuallyExclusiveCallbackGroup()
    return (
        node.create_subscription(kind, topic, on_image, qos, callback_group=group),
        node.create_subscription(CameraInfo, "camera_info", on_camera_info, SENSOR, callback_group=group),
    )
