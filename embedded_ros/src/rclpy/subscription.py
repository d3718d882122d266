# SPDX-License-Identifier: Apache-2.0
"""Subscriptions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import zenoh

from embedded_ros import codec, wire
from embedded_ros.definitions import type_hash

from .callback_groups import CallbackGroup
from .endpoint import Endpoint, refuse_coroutine
from .qos import QoSProfile


class Subscription(Endpoint):
    """Receives the messages of a topic. Made by Node.create_subscription()."""

    def __init__(
        self,
        node: Any,
        msg_type: type,
        topic: str,
        callback: Callable[[Any], Any],
        callback_group: CallbackGroup,
        qos_profile: QoSProfile,
        raw: bool,
    ) -> None:
        refuse_coroutine(callback)
        super().__init__(
            node, wire.SUBSCRIPTION, topic, msg_type._TYPE, qos_profile, callback_group
        )
        self.msg_type = msg_type
        self.callback = callback
        self.raw = raw
        qos = self._entity.qos
        # Keep last: what comes in pushes the oldest out.
        self._samples: deque[zenoh.ZBytes] = deque(
            maxlen=None if qos.history == wire.KEEP_ALL else qos.depth
        )
        key = wire.topic_key(self._link.domain, topic, msg_type._TYPE, type_hash(msg_type._TYPE))
        self._subscriber = self._link.subscriber(key, qos, self._on_sample)
        self._announce()

    @property
    def topic_name(self) -> str:
        """Return the full name of the topic."""
        return self._entity.topic

    def get_publisher_count(self) -> int:
        """Return the number of publishers of the topic."""
        return len(self._link.graph.find(wire.PUBLISHER, self._entity.topic))

    def destroy(self) -> None:
        """Stop receiving and disappear from the graph."""
        if self._withdraw():
            self._subscriber.undeclare()
        self._samples.clear()

    def _on_sample(self, sample: zenoh.Sample) -> None:
        self._samples.append(sample.payload)
        self._node._wake_executor()

    def _is_ready(self) -> bool:
        return bool(self._samples)

    def _take(self) -> Callable[[], None] | None:
        try:
            payload = self._samples.popleft()
        except IndexError:  # destroyed meanwhile
            return None
        data = payload.to_bytes()
        if self.raw:
            return lambda: self.callback(data)
        try:
            message = codec.deserialize(data, self.msg_type)
        except Exception as error:
            self._node.get_logger().error(
                f"a message on '{self.topic_name}' is no {self.msg_type._TYPE}: {error}",
                throttle_duration_sec=1.0,
            )
            return None
        return lambda: self.callback(message)

    def _is_counterpart(self, entity: wire.Entity) -> bool:
        return entity.kind == wire.PUBLISHER

    def _policy(self, entity: wire.Entity) -> str | None:
        return wire.incompatible_policy(entity.qos, self._entity.qos)
