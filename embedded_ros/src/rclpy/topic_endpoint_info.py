# SPDX-License-Identifier: Apache-2.0
"""What is known of a publisher or subscription elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from embedded_ros import wire

from .qos import QoSProfile, from_wire


class TopicEndpointTypeEnum(IntEnum):
    """Publisher or subscription."""

    INVALID = 0
    PUBLISHER = 1
    SUBSCRIPTION = 2


@dataclass
class TopicEndpointInfo:
    """Node, type and QoS of an endpoint."""

    node_name: str
    node_namespace: str
    topic_type: str
    topic_type_hash: str
    endpoint_type: TopicEndpointTypeEnum
    endpoint_gid: list[int]
    qos_profile: QoSProfile

    @classmethod
    def from_entity(cls, entity: wire.Entity) -> TopicEndpointInfo:
        """Return what a liveliness token says."""
        publisher = entity.kind == wire.PUBLISHER
        kind = TopicEndpointTypeEnum.PUBLISHER if publisher else TopicEndpointTypeEnum.SUBSCRIPTION
        return cls(
            entity.node,
            entity.namespace,
            entity.type,
            entity.type_hash,
            kind,
            list(wire.gid(wire.token(entity))),
            from_wire(entity.qos),
        )
