# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic`: what is published, by whom, and what it says."""

from __future__ import annotations

import argparse
import statistics
import time
from collections import deque
from itertools import pairwise

import rclpy
from rclpy.duration import Duration
from rclpy.qos import qos_profile_sensor_data
from ros2cli.cli import add_verbs
from ros2cli.graph import absolute, add_spin_time, cli_node, print_names, settle, wait_for
from ros2cli.messages import from_yaml, get_interface
from ros2cli.topic_echo import echo, make_qos, message_class


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 topic`."""
    listing, info, listen, rate, pub = add_verbs(
        parser,
        ("list", list_topics, ""),
        ("info", show_info, "topic_name"),
        ("echo", echo, "topic_name [message_type]"),
        ("hz", hz, "topic_name"),
        ("pub", publish, "topic_name message_type [values]"),
    )
    add_spin_time(listing, info, listen, rate)
    listing.add_argument("-t", "--show-types", action="store_true", help="Also show the topic type")
    info.add_argument("-v", "--verbose", action="store_true", help="Show every endpoint")
    listen.add_argument("--once", action="store_true", help="Print the first message and exit")
    listen.add_argument("--field", help="Print only this field; '.' selects sub-fields")
    listen.add_argument("-f", "--full-length", action="store_true", help="Print long texts and arrays whole")
    pub.add_argument("-r", "--rate", type=float, default=1.0, help="Messages per second")
    pub.add_argument("-1", "--once", action="store_true", help="Publish one message to a subscriber and exit")
    for verb in (listen, pub):
        verb.add_argument("--qos-reliability", choices=["reliable", "best_effort"])
        verb.add_argument("--qos-durability", choices=["transient_local", "volatile"])


def list_topics(args: argparse.Namespace) -> None:
    """Output a list of available topics."""
    with cli_node() as node:
        settle(node, args.spin_time)
        print_names(node.get_topic_names_and_types(), args.show_types)


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


def hz(args: argparse.Namespace) -> None:
    """Print the average publishing rate, every second."""
    arrivals: deque[float] = deque(maxlen=10001)

    def report() -> None:
        gaps = [later - earlier for earlier, later in pairwise(arrivals)]
        if gaps:
            print(
                f"average rate: {len(gaps) / max(sum(gaps), 1e-9):.3f}\n\tmin: {min(gaps):.3f}s "
                f"max: {max(gaps):.3f}s std dev: {statistics.pstdev(gaps):.5f}s window: {len(gaps)}"
            )

    topic = absolute(args.topic_name)
    with cli_node() as node:
        cls = message_class(node, topic, None, args.spin_time)
        arrived = lambda _: arrivals.append(time.monotonic())  # noqa: E731
        node.create_subscription(cls, topic, arrived, qos_profile_sensor_data, raw=True)
        node.create_timer(1.0, report)
        rclpy.spin(node)


def publish(args: argparse.Namespace) -> None:
    """Publish a message in YAML, such as '{data: hello}', to a topic."""
    if args.rate <= 0.0:
        raise RuntimeError("rate must be greater than zero")
    cls = get_interface(args.message_type, "msg")
    message = from_yaml(cls, args.values)
    count = 0

    def publish_one() -> None:
        nonlocal count
        count += 1
        print(f"publishing #{count}: {message!r}\n")
        publisher.publish(message)

    with cli_node() as node:
        qos = make_qos(args.qos_reliability or "reliable", args.qos_durability or "volatile")
        publisher = node.create_publisher(cls, args.topic_name, qos)
        while args.once and not wait_for(publisher.get_subscription_count, 1.0):
            print("Waiting for at least 1 matching subscription(s)...")
        print("publisher: beginning loop")
        publish_one()
        if args.once:
            publisher.wait_for_all_acked(Duration(seconds=30))  # a subscriber may not know it yet
        else:
            node.create_timer(1.0 / args.rate, publish_one)
            rclpy.spin(node)
