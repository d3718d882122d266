# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic`: what is published, by whom, and what it says."""

from __future__ import annotations

import argparse

from rclpy.node import Node
from rclpy.qos import HistoryPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from ros2cli import topic_echo, topic_pub
from ros2cli.graph import absolute, add_discovery_argument, cli_node, discover, is_hidden, wait_for
from ros2cli.verbs import add_verb, add_verbs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 topic`."""
    verbs = add_verbs(parser)
    verb = add_verb(verbs, "list", "Output a list of available topics", list_topics)
    verb.add_argument("-t", "--show-types", action="store_true", help="Also show the topic type")
    verb.add_argument("-c", "--count-topics", action="store_true", help="Only show their number")
    verb.add_argument("--include-hidden-topics", action="store_true", help="Show hidden ones, too")
    add_discovery_argument(verb)
    verb = add_verb(verbs, "info", "Print information about a topic", show_info)
    verb.add_argument("topic_name", help="Name of the topic, e.g. /chatter")
    verb.add_argument("-v", "--verbose", action="store_true", help="Show every endpoint")
    add_discovery_argument(verb)
    verb = add_verb(verbs, "type", "Print a topic's type", show_type)
    verb.add_argument("topic_name", help="Name of the topic, e.g. /chatter")
    add_discovery_argument(verb)
    topic_echo.add_arguments(verbs)
    topic_pub.add_arguments(verbs)


def list_topics(args: argparse.Namespace) -> None:
    """Print the names of all topics."""
    with cli_node() as node:
        discover(node, args.spin_time)
        topics = [
            (name, types)
            for name, types in sorted(node.get_topic_names_and_types())
            if args.include_hidden_topics or not is_hidden(name)
        ]
    if args.count_topics:
        print(len(topics))
        return
    for name, types in topics:
        print(f"{name} [{', '.join(types)}]" if args.show_types else name)


def show_info(args: argparse.Namespace) -> str | None:
    """Print a topic's type and the number of publishers and subscriptions."""
    with cli_node() as node:
        discover(node, args.spin_time)
        types = _types_of(node, args)
        if not types:
            return f"Unknown topic '{args.topic_name}'"
        topic = absolute(args.topic_name)
        end = "\n\n" if args.verbose else "\n"
        print(f"Type: {types[0] if len(types) == 1 else types}", end=end)
        print(f"Publisher count: {node.count_publishers(topic)}", end=end)
        if args.verbose:
            for endpoint in node.get_publishers_info_by_topic(topic):
                _print_endpoint(endpoint)
        print(f"Subscription count: {node.count_subscribers(topic)}", end=end)
        if args.verbose:
            for endpoint in node.get_subscriptions_info_by_topic(topic):
                _print_endpoint(endpoint)
    return None


def show_type(args: argparse.Namespace) -> int:
    """Print a topic's type; return 1 where it is unknown."""
    with cli_node() as node:
        types = _types_of(node, args)
    for name in types:
        print(name)
    return 0 if types else 1


def _types_of(node: Node, args: argparse.Namespace) -> list[str]:
    """Return the types of a topic, none where it does not appear soon."""
    name, timeout = absolute(args.topic_name), max(args.spin_time, 1.0)
    return wait_for(node, lambda: dict(node.get_topic_names_and_types()).get(name), timeout) or []


def _print_endpoint(info: TopicEndpointInfo) -> None:
    """Print who publishes or subscribes, and how."""
    qos = info.qos_profile
    depth = f" ({qos.depth})" if qos.history == HistoryPolicy.KEEP_LAST else ""
    print(f"Node name: {info.node_name}")
    print(f"Node namespace: {info.node_namespace}")
    print(f"Topic type: {info.topic_type}")
    print(f"Topic type hash: {info.topic_type_hash}")
    print(f"Endpoint type: {info.endpoint_type.name}")
    print("GID: " + ".".join(f"{byte:02x}" for byte in info.endpoint_gid))
    print("QoS profile:")
    print(f"  Reliability: {qos.reliability.name}")
    print(f"  History (Depth): {qos.history.name}{depth}")
    print(f"  Durability: {qos.durability.name}\n")
