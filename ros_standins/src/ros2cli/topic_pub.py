# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic pub`: publish a message given as YAML."""

from __future__ import annotations

import argparse

import rclpy
from rclpy.duration import Duration
from rclpy.task import Future

from .graph import cli_node, wait_for
from .messages import from_yaml, get_interface
from .topic_echo import make_qos


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    add = parser.add_argument
    add("-r", "--rate", type=_positive, default=1.0, help="Messages per second")
    add("-1", "--once", action="store_const", const=1, dest="times", help="Publish one message and exit")
    add("-t", "--times", type=int, default=0, help="Publish so many times and exit")
    add(
        "-w",
        "--wait-matching-subscriptions",
        type=int,
        help="Wait for so many subscriptions (default: 1 with --once or --times, otherwise 0)",
    )
    add("--qos-reliability", choices=["reliable", "best_effort"], default="reliable")
    add("--qos-durability", choices=["transient_local", "volatile"], default="volatile")


def publish(args: argparse.Namespace) -> None:
    """Publish a message in YAML, such as '{data: hello}', to a topic."""
    cls = get_interface(args.message_type, "msg")
    message = from_yaml(cls, args.values)
    wanted = args.wait_matching_subscriptions
    wanted = int(args.times > 0) if wanted is None else wanted
    count = 0
    done = Future()

    def publish_one() -> None:
        nonlocal count
        count += 1
        print(f"publishing #{count}: {message!r}\n")
        publisher.publish(message)
        if count == args.times:
            done.set_result(True)

    with cli_node() as node:
        publisher = node.create_publisher(
            cls, args.topic_name, make_qos(args.qos_reliability, args.qos_durability)
        )
        while not wait_for(lambda: publisher.get_subscription_count() >= wanted, 1.0):
            print(f"Waiting for at least {wanted} matching subscription(s)...")
        print("publisher: beginning loop")
        publish_one()
        if not done.done():
            node.create_timer(1.0 / args.rate, publish_one)
            rclpy.spin_until_future_complete(node, done)
        publisher.wait_for_all_acked(Duration(seconds=5))


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0.0:
        raise argparse.ArgumentTypeError("must be positive")
    return value
