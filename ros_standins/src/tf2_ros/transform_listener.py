# SPDX-License-Identifier: Apache-2.0
"""Fills a buffer from /tf and /tf_static."""

from __future__ import annotations

from threading import Thread

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage
from tf2_ros.buffer import Buffer

QOS = QoSProfile(depth=100)
STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformListener:
    """Listens until unregister() or until its node is destroyed.

    With spin_thread a thread of its own spins the node until the node's context is shut down.
    """

    def __init__(self, buffer: Buffer, node: Node, *, spin_thread: bool = False) -> None:
        self._buffer = buffer
        self._node = node
        group = ReentrantCallbackGroup()  # else a callback that waits for a transform never hears it
        self._subscriptions = [
            node.create_subscription(TFMessage, topic, take, qos, callback_group=group)
            for topic, take, qos in (
                ("/tf", self._take, QOS),
                ("/tf_static", self._take_static, STATIC_QOS),
            )
        ]
        if spin_thread:
            executor = SingleThreadedExecutor(context=node.context)
            executor.add_node(node)
            Thread(target=_spin, args=(executor,), daemon=True).start()

    def _take(self, message: TFMessage) -> None:
        for transform in message.transforms:
            self._buffer.set_transform(transform, "default_authority")

    def _take_static(self, message: TFMessage) -> None:
        for transform in message.transforms:
            self._buffer.set_transform_static(transform, "default_authority")

    def unregister(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        return
