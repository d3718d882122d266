# SPDX-License-Identifier: Apache-2.0
"""What publishers, subscriptions, services and clients have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from embedded_ros import wire
from embedded_ros.definitions import type_hash

from .callback_groups import CallbackGroup
from .qos import QoSProfile

_WARNING = (
    "New {what} discovered on topic '{topic}', {how} incompatible QoS. A DDS middleware would "
    "deliver no messages between them. Last incompatible policy: {policy}"
)


class Endpoint:
    """An announced entity of a node."""

    def __init__(
        self,
        node: Any,
        kind: str,
        name: str,
        type_name: str,
        qos_profile: QoSProfile,
        callback_group: CallbackGroup | None,
    ) -> None:
        self._node = node
        self._link = node.context.link
        self.qos_profile = qos_profile
        self.callback_group = callback_group
        if callback_group is not None:
            callback_group.add_entity(self)
        self._destroyed = False
        self._entity = wire.Entity(
            self._link.domain,
            self._link.session_id,
            node._node_id,
            self._link.new_id(),
            kind,
            node.get_namespace(),
            node.get_name(),
            name,
            type_name,
            type_hash(type_name),
            qos_profile.to_wire(),
        )
        self._gid = wire.gid(wire.token(self._entity))
        self._take_back: Callable[[], None] = lambda: None

    def _announce(self) -> None:
        """Tell the graph, once the endpoint can be reached."""
        self._take_back = self._link.announce(self._entity)
        self._link.graph.listen(self._on_entity)

    def _withdraw(self) -> bool:
        """Leave the graph; True if what was declared on the session must still be undeclared."""
        if self._destroyed:
            return False
        self._destroyed = True
        self._link.graph.unlisten(self._on_entity)
        self._take_back()
        return not self._link.closed

    def _on_entity(self, entity: wire.Entity) -> None:
        """Warn of an endpoint with which this one cannot work."""
        if entity.topic != self._entity.topic or not self._is_counterpart(entity):
            return
        what = "publisher" if entity.kind == wire.PUBLISHER else "subscription"
        topic, own = entity.topic, self._entity
        if (entity.type, entity.type_hash) != (own.type, own.type_hash):
            self._node.get_logger().warning(
                f"New {what} discovered on topic '{topic}' with another type: {entity.type} "
                f"({entity.type_hash[:14]}) instead of {own.type} ({own.type_hash[:14]}). "
                "No messages will pass between them"
            )
        elif (policy := self._policy(entity)) is not None:
            how = "offering" if entity.kind == wire.PUBLISHER else "requesting"
            text = _WARNING.format(what=what, topic=topic, how=how, policy=policy)
            self._node.get_logger().warning(text)

    def _is_counterpart(self, entity: wire.Entity) -> bool:
        """Return whether an entity on the same topic is at the other end of this one."""
        return False

    def _policy(self, entity: wire.Entity) -> str | None:
        """Return the policy that keeps this and a counterpart apart, if any."""
        return None


def refuse_coroutine(callback: Callable[..., Any]) -> None:
    """Raise TypeError for a coroutine function, which this runtime would never run."""
    if inspect.iscoroutinefunction(callback):
        raise TypeError(f"{callback.__qualname__}: coroutine callbacks are not supported")
