# SPDX-License-Identifier: Apache-2.0
"""Topics as the nodes use them: latched outputs, sensor inputs, publishing while the node ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2
from torch import Tensor

from ace_ros.errors import ConfigError
from ace_ros.nodes.depth_source import DepthSource
from ace_ros.nodes.options import MapperConfig

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
SENSOR = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
SERVICE = QoSProfile(depth=100)  # calls that come at once; of more the oldest would stay without an answer


def publish(node: Node, publisher: Any, message: Any) -> None:
    """Publish from any thread; once ROS has been shut down, nothing happens."""
    send(node, publisher.publish, message)


def send(node: Node, function: Callable[[Any], None], message: Any) -> None:
    """Publish by a function, such as sendTransform of a broadcaster, as `publish` does."""
    try:
        function(message)
    except Exception:
        # Worker threads may be at work when a signal ends ROS; each rclpy has its own error for it.
        if node.context.ok():
            raise


def subscribe_depth(
    node: Node,
    config: Callable[[], MapperConfig],
    look_up: Callable[[str, int], Tensor],
    changed: threading.Condition,
) -> DepthSource | None:
    """Subscribe to depth images or points; return what keeps them, None where the config names no topic.

    `look_up` and `changed` are those of DepthSource. Raises ConfigError where both topics are named.
    """
    depth_topic, points_topic = config().depth_topic, config().points_topic
    if depth_topic and points_topic:
        raise ConfigError(
            f"depth_topic is {depth_topic!r} and points_topic {points_topic!r}; expected one of them alone"
        )
    if not (depth_topic or points_topic):
        return None
    kind, topic = (Image, depth_topic) if depth_topic else (PointCloud2, points_topic)
    depth = DepthSource(node.resolve_topic_name(topic), look_up, changed, config)
    group = MutuallyExclusiveCallbackGroup()
    node.create_subscription(kind, topic, depth.take, SENSOR, callback_group=group)
    return depth
