# SPDX-License-Identifier: Apache-2.0
"""Publishers."""

from __future__ import annotations

import itertools
import time
from typing import Any

from embedded_ros import codec, wire
from embedded_ros.definitions import type_hash

from ._rclpy_pybind11 import RCLError
from .endpoint import Endpoint
from .exceptions import InvalidHandle
from .qos import QoSProfile


class Publisher(Endpoint):
    """Sends messages to a topic. Made by Node.create_publisher()."""

    def __init__(self, node: Any, msg_type: type, topic: str, qos_profile: QoSProfile) -> None:
        super().__init__(node, wire.PUBLISHER, topic, msg_type._TYPE, qos_profile, None)
        self.msg_type = msg_type
        key = wire.topic_key(self._link.domain, topic, msg_type._TYPE, type_hash(msg_type._TYPE))
        self._publisher = self._link.publisher(key, self._entity.qos)
        self._sequence = itertools.count(1)
        self._announce()

    @property
    def topic_name(self) -> str:
        """Return the full name of the topic."""
        return self._entity.topic

    @property
    def topic(self) -> str:
        """Return the full name of the topic."""
        return self._entity.topic

    def publish(self, msg: Any) -> None:
        """Send a message, or the CDR bytes of one.

        Reliable publishers wait while a subscriber's connection is congested, others drop.
        """
        if isinstance(msg, (bytes, bytearray)):
            data: bytes | bytearray = msg
        elif isinstance(msg, self.msg_type):
            data = codec.serialize(msg)
        else:
            raise TypeError(f"Expected {self.msg_type}, got {type(msg)}")
        if self._destroyed:
            raise InvalidHandle("cannot use Destroyable because destruction was requested")
        if not self._node.context.ok():
            raise RCLError("Failed to publish: publisher's context is invalid")
        stamp = wire.pack_attachment(next(self._sequence), time.time_ns(), self._gid)
        self._publisher.put(data, attachment=stamp)

    def get_subscription_count(self) -> int:
        """Return the number of subscriptions to the topic."""
        return len(self._link.graph.find(wire.SUBSCRIPTION, self._entity.topic))

    def destroy(self) -> None:
        """Stop publishing and disappear from the graph."""
        if self._withdraw():
            self._publisher.undeclare()

    def _is_counterpart(self, entity: wire.Entity) -> bool:
        return entity.kind == wire.SUBSCRIPTION

    def _policy(self, entity: wire.Entity) -> str | None:
        return wire.incompatible_policy(self._entity.qos, entity.qos)
