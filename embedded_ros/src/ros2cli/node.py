# SPDX-License-Identifier: Apache-2.0
"""`ros2 node`: which nodes there are and what they offer."""

from __future__ import annotations

import argparse
import sys

from ros2cli.graph import (
    absolute,
    add_discovery_argument,
    cli_node,
    is_hidden,
    node_names,
    wait_for,
)
from ros2cli.verbs import add_verb, add_verbs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 node`."""
    verbs = add_verbs(parser)
    verb = add_verb(verbs, "list", "Output a list of available nodes", list_nodes)
    verb.add_argument("-a", "--all", action="store_true", help="Show hidden ones, too")
    verb.add_argument("-c", "--count-nodes", action="store_true", help="Only show their number")
    add_discovery_argument(verb)
    verb = add_verb(verbs, "info", "Output information about a node", show_info)
    verb.add_argument("node_name", help="Name of the node, e.g. /talker")
    verb.add_argument("--include-hidden", action="store_true", help="Show hidden names, too")
    add_discovery_argument(verb)


def list_nodes(args: argparse.Namespace) -> None:
    """Print the full names of all nodes."""
    with cli_node(args.spin_time) as node:
        names = node_names(node, include_hidden=args.all)
    if args.count_nodes:
        print(len(names))
        return
    if len(set(names)) < len(names):
        print(
            "WARNING: Be aware that there are nodes in the graph that share an exact name, "
            "which can have unintended side effects.",
            file=sys.stderr,
        )
    for name in names:
        print(name)


def show_info(args: argparse.Namespace) -> str | None:
    """Print a node's topics and services."""
    full = absolute(args.node_name)
    namespace, _, name = full.rpartition("/")
    with cli_node(args.spin_time) as node:
        if not wait_for(node, lambda: full in node_names(node, include_hidden=True), 1.0):
            return f"Unable to find node '{args.node_name}'"
        print(full)
        for title, query in (
            ("Subscribers", node.get_subscriber_names_and_types_by_node),
            ("Publishers", node.get_publisher_names_and_types_by_node),
            ("Service Servers", node.get_service_names_and_types_by_node),
            ("Service Clients", node.get_client_names_and_types_by_node),
        ):
            print(f"  {title}:")
            for endpoint, types in sorted(query(name, namespace or "/")):
                if args.include_hidden or not is_hidden(endpoint):
                    print(f"    {endpoint}: {', '.join(types)}")
        # Actions are not part of this runtime; the headings keep the output's form.
        print("  Action Servers:\n\n  Action Clients:\n")
    return None
