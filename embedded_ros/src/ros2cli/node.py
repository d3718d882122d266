# SPDX-License-Identifier: Apache-2.0
"""`ros2 node`: which nodes there are and what they offer."""

from __future__ import annotations

import argparse
import sys

from embedded_ros import wire
from ros2cli.graph import (
    add_discovery_argument,
    cli_node,
    discover,
    find_node,
    is_hidden,
    node_names,
)
from ros2cli.verbs import add_verb, add_verbs

_SECTIONS = {
    "Subscribers": wire.SUBSCRIPTION,
    "Publishers": wire.PUBLISHER,
    "Service Servers": wire.SERVICE,
    "Service Clients": wire.CLIENT,
}


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
    with cli_node() as node:
        discover(node, args.spin_time)
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
    with cli_node() as node:
        full = find_node(node, args.node_name, args.spin_time)
        if full is None:
            return f"Unable to find node '{args.node_name}'"
        discover(node, args.spin_time)
        print(full)
        for title, kind in _SECTIONS.items():
            entities = node.context.link.graph.find(kind)
            endpoints = {(e.topic, e.type) for e in entities if e.full_node_name == full}
            print(f"  {title}:")
            for name, type_name in sorted(endpoints):
                if args.include_hidden or not is_hidden(name):
                    print(f"    {name}: {type_name}")
        # Actions are not part of this runtime; the headings keep the output's form.
        print("  Action Servers:\n\n  Action Clients:\n")
    return None
