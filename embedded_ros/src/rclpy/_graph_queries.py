# SPDX-License-Identifier: Apache-2.0
"""What a node can say about others."""

from __future__ import annotations

from embedded_ros import wire

from .context import Context
from .topic_endpoint_info import TopicEndpointInfo


class GraphQueries:
    """The part of Node that is about who else is there."""

    _context: Context

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """Return the full name that a topic name stands for, after remapping."""
        raise NotImplementedError

    def count_publishers(self, topic_name: str) -> int:
        """Return the number of publishers of a topic."""
        return len(self.get_publishers_info_by_topic(topic_name))

    def count_subscribers(self, topic_name: str) -> int:
        """Return the number of subscriptions to a topic."""
        return len(self.get_subscriptions_info_by_topic(topic_name))

    def get_publishers_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        """Return node, type and QoS of each publisher of a topic."""
        return self._endpoints(wire.PUBLISHER, topic_name)

    def get_subscriptions_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        """Return node, type and QoS of each subscription to a topic."""
        return self._endpoints(wire.SUBSCRIPTION, topic_name)

    def get_topic_names_and_types(self, no_demangle: bool = False) -> list[tuple[str, list[str]]]:
        """Return the topics with their types."""
        return self._context.link.graph.names_and_types(wire.PUBLISHER, wire.SUBSCRIPTION)

    def get_service_names_and_types(self) -> list[tuple[str, list[str]]]:
        """Return the services with their types."""
        return self._context.link.graph.names_and_types(wire.SERVICE)

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        """Return the nodes as (name, namespace)."""
        return [(e.node, e.namespace) for e in self._context.link.graph.find(wire.NODE)]

    def get_node_names(self) -> list[str]:
        """Return the names of the nodes."""
        return [name for name, _ in self.get_node_names_and_namespaces()]

    def _endpoints(self, kind: str, topic_name: str) -> list[TopicEndpointInfo]:
        found = self._context.link.graph.find(kind, self.resolve_topic_name(topic_name))
        return [TopicEndpointInfo.from_entity(entity) for entity in found]
