# SPDX-License-Identifier: Apache-2.0
"""Sends transforms that never change to /tf_static."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

DEFAULT_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class StaticTransformBroadcaster:
    """Sends all its transforms with each message, so that a late listener gets all of them."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos or DEFAULT_QOS)
        self._sent: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Send one transform or several; those of the same child frame are replaced."""
        several = [transform] if isinstance(transform, TransformStamped) else list(transform)
        self._sent.update({one.child_frame_id: one for one in several})
        self.pub_tf.publish(TFMessage(transforms=list(self._sent.values())))
