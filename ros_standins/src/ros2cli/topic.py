# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic`: what is published, by whom, and what it says."""

from __future__ import annotations

import argparse

from . import topic_echo, topic_pub
from .cli import add_verbs
from .graph import absolute, add_spin_time, cli_node, print_names, settle, wait_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 topic`."""
    listing, info, echo, hz, pub = add_verbs(
        parser,
        ("list", list_topics, ""),
        ("info", show_info, "topic_name"),
        ("echo", topic_echo.echo, "topic_name [message_type]"),
        ("hz", topic_echo.hz, "topic_name"),
        ("pub", topic_pub.publish, "topic_name message_type [values]"),
    )
    listing.add_argument("-t", "--show-types", action="store_true", help="Also show the topic type")
    listing.add_argument("--include-hidden-topics", action="store_true", help="Show hidden ones, too")
    info.add_argument("-v", "--verbose", action="store_true", help="Show every endpoint")
    add_spin_time(listing, info, echo, hz)
    topic_echo.add_arguments(echo, hz)
    topic_pub.add_arguments(pub)


def list_topics(args: argparse.Namespace) -> None:
    """Output a list of available topics."""
    with cli_node() as node:
        settle(node, args.spin_time)
        print_names(node.get_topic_names_and_types(), args.include_hidden_topics, args.show_types)


def show_info(args: argparse.Namespace) -> str | None:
    """Print information about a topic."""
    topic = absolute(args.topic_name)
    end = "\n\n" if args.verbose else "\n"
    with cli_node() as node:
        types = wait_for(lambda: dict(node.get_topic_names_and_types()).get(topic), args.spin_time)
        if not types:
            return f"Unknown topic '{args.topic_name}'"
        settle(node, args.spin_time)
        print(f"Type: {types[0] if len(types) == 1 else types}", end=end)
        for title, endpoints in (
            ("Publisher", node.get_publishers_info_by_topic(topic)),
            ("Subscription", node.get_subscriptions_info_by_topic(topic)),
        ):
            print(f"{title} count: {len(endpoints)}", end=end)
            for endpoint in endpoints if args.verbose else []:
                print(endpoint, end=end)
    return None
