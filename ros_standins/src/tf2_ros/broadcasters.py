# SPDX-License-Identifier: Apache-2.0
"""Send transforms to /tf and /tf_static; `pub_tf` is the publisher, as in the original."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

QOS = QoSProfile(depth=100)
STATIC_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformBroadcaster:
    """Sends transforms that change over time, through its publisher `pub_tf`."""

    def __init__(self, node: Node) -> None:
        self.pub_tf = node.create_publisher(TFMessage, "/tf", QOS)

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Send one transform or several."""
        self.pub_tf.publish(TFMessage(transforms=_as_list(transform)))


class StaticTransformBroadcaster:
    """Sends all its transforms with each message through `pub_tf`, so that a late listener gets all."""

    def __init__(self, node: Node) -> None:
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", STATIC_QOS)
        self._sent: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Send one transform or several; those of the same child frame are replaced."""
        self._sent.update({one.child_frame_id: one for one in _as_list(transform)})
        self.pub_tf.publish(TFMessage(transforms=list(self._sent.values())))


def _as_list(transform: TransformStamped | Iterable[TransformStamped]) -> list[TransformStamped]:
    return [transform] if isinstance(transform, TransformStamped) else list(transform)
