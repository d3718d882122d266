# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic pub`: publish messages given as YAML."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import rclpy
import yaml
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ros2cli.graph import cli_node, wait_for
from ros2cli.messages import fill, get_interface
from ros2cli.verbs import add_verb


def add_arguments(verbs: argparse._SubParsersAction) -> None:
    """Declare the verb."""
    verb = add_verb(verbs, "pub", "Publish a message to a topic", publish)
    verb.add_argument("topic_name", help="Name of the topic, e.g. /chatter")
    verb.add_argument("message_type", help="Type, e.g. std_msgs/msg/String")
    verb.add_argument("values", nargs="?", default="{}", help="Fields as YAML, e.g. 'data: hello'")
    verb.add_argument("-r", "--rate", type=_positive, default=1.0, help="Messages per second")
    verb.add_argument("-p", "--print", type=int, default=1, help="Print every N-th message")
    group = verb.add_mutually_exclusive_group()
    group.add_argument("-1", "--once", action="store_true", help="Publish one message and exit")
    group.add_argument("-t", "--times", type=int, default=0, help="Publish so many times and exit")
    verb.add_argument(
        "-w",
        "--wait-matching-subscriptions",
        type=int,
        help="Wait for so many subscriptions (default: 1 with --once or --times, otherwise 0)",
    )
    verb.add_argument(
        "--keep-alive", type=float, default=0.1, help="Seconds to stay after the last message"
    )
    verb.add_argument("--qos-reliability", choices=["reliable", "best_effort"], default="reliable")
    verb.add_argument(
        "--qos-durability", choices=["transient_local", "volatile"], default="volatile"
    )


def publish(args: argparse.Namespace) -> str | None:
    """Publish one message, some, or until interrupted."""
    try:
        cls = get_interface(args.message_type, "msg")
    except ValueError:
        return "The passed message type is invalid"
    values = yaml.safe_load(args.values)
    if not isinstance(values, dict):
        return "The passed value needs to be a dictionary in YAML format"
    message, stamps = cls(), []
    try:
        fill(message, values, stamps)
    except (AssertionError, AttributeError, OverflowError, TypeError, ValueError) as error:
        return f"Failed to populate field: {error}"
    times = 1 if args.once else args.times
    wanted = args.wait_matching_subscriptions
    with cli_node() as node:
        publisher = node.create_publisher(cls, args.topic_name, _qos(args))
        _wait_for_subscriptions(node, publisher, int(times > 0) if wanted is None else wanted)
        print("publisher: beginning loop")
        _publish_loop(node, publisher, message, stamps, args, times)
        time.sleep(args.keep_alive)  # the last message is still on its way
    return None


def _publish_loop(
    node: Node,
    publisher: Publisher,
    message: Any,
    stamps: list[Callable[[Any], None]],
    args: argparse.Namespace,
    times: int,
) -> None:
    """Publish at a rate, `times` times or until interrupted."""
    count = 0

    def publish_one() -> None:
        nonlocal count
        for set_stamp in stamps:
            set_stamp(node.get_clock().now().to_msg())
        count += 1
        if args.print and count % args.print == 0:
            print(f"publishing #{count}: {message!r}\n")
        publisher.publish(message)

    publish_one()
    if times != 1:
        node.create_timer(1.0 / args.rate, publish_one)
        while rclpy.ok() and (times == 0 or count < times):
            rclpy.spin_once(node, timeout_sec=0.1)


def _wait_for_subscriptions(node: Node, publisher: Publisher, wanted: int) -> None:
    """Wait until enough subscriptions match, saying so every second."""
    while rclpy.ok() and publisher.get_subscription_count() < wanted:
        print(f"Waiting for at least {wanted} matching subscription(s)...")
        wait_for(node, lambda: publisher.get_subscription_count() >= wanted, 1.0)


def _qos(args: argparse.Namespace) -> QoSProfile:
    reliable = args.qos_reliability == "reliable"
    latched = args.qos_durability == "transient_local"
    return QoSProfile(
        depth=10,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0.0:
        raise argparse.ArgumentTypeError("must be positive")
    return value
