# SPDX-License-Identifier: Apache-2.0
"""`ros2 node`: which nodes there are and what they offer."""

from __future__ import annotations

import argparse
import sys

from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden
from ros2cli.cli import add_verbs
from ros2cli.graph import absolute, add_spin_time, cli_node, node_names, settle, wait_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 node`."""
    listing, info = add_verbs(parser, ("list", list_nodes, ""), ("info", show_info, "node_name"))
    add_spin_time(listing, info)


def list_nodes(args: argparse.Namespace) -> None:
    """Output a list of available nodes."""
    with cli_node() as node:
        settle(node, args.spin_time)
        names = node_names(node)
    if len(set(names)) < len(names):
        print("WARNING: there are nodes that share an exact name", file=sys.stderr)
    print(*names, sep="\n", end="\n" if names else "")


def show_info(args: argparse.Namespace) -> str | None:
    """Output information about a node."""
    with cli_node() as node:
        full = absolute(args.node_name)
        if not wait_for(lambda: full in node_names(node, True), args.spin_time):
            return f"Unable to find node '{args.node_name}'"
        settle(node, args.spin_time)
        namespace, _, name = full.rpartition("/")
        print(full)
        for title, find in (
            ("Subscribers", node.get_subscriber_names_and_types_by_node),
            ("Publishers", node.get_publisher_names_and_types_by_node),
            ("Service Servers", node.get_service_names_and_types_by_node),
            ("Service Clients", node.get_client_names_and_types_by_node),
        ):
            print(f"  {title}:")
            for endpoint, types in sorted(find(name, namespace or "/")):
                if not topic_or_service_is_hidden(endpoint):
                    print(f"    {endpoint}: {', '.join(types)}")
    return None
