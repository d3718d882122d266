# SPDX-License-Identifier: Apache-2.0
"""Fills a buffer from /tf and /tf_static."""

from __future__ import annotations

from threading import Thread
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile

from tf2_msgs.msg import TFMessage

from .buffer import Buffer

DEFAULT_QOS = QoSProfile(depth=100)
DEFAULT_STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformListener:
    """Listens until unregister() or until its node is destroyed."""

    def __init__(
        self,
        buffer: Buffer,
        node: Any,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
    ) -> None:
        self.buffer = buffer
        self.node = node
        group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            TFMessage, "/tf", self.callback, qos or DEFAULT_QOS, callback_group=group
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage,
            "/tf_static",
            self.static_callback,
            static_qos or DEFAULT_STATIC_QOS,
            callback_group=group,
        )
        if spin_thread:
            self.executor = SingleThreadedExecutor(context=node.context)
            self.executor.add_node(node)
            self.dedicated_listener_thread = Thread(target=self._spin, daemon=True)
            self.dedicated_listener_thread.start()

    def callback(self, message: TFMessage) -> None:
        """Take in transforms."""
        for transform in message.transforms:
            self.buffer.set_transform(transform, "default_authority")

    def static_callback(self, message: TFMessage) -> None:
        """Take in static transforms."""
        for transform in message.transforms:
            self.buffer.set_transform_static(transform, "default_authority")

    def unregister(self) -> None:
        """Stop listening."""
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)

    def _spin(self) -> None:
        try:
            self.executor.spin()
        except ExternalShutdownException:
            return
