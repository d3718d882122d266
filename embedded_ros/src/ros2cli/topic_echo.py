# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic echo` and `ros2 topic hz`: listen to a topic."""

from __future__ import annotations

import argparse
import math
import time
from collections import deque
from itertools import pairwise
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data

from ros2cli.graph import absolute, add_discovery_argument, cli_node, discover, wait_for
from ros2cli.messages import get_interface, to_plain, to_yaml
from ros2cli.verbs import add_verb

# The profile must suit all publishers of a topic, and they become known one after the other.
_FURTHER_PUBLISHERS_S = 0.1


def add_arguments(verbs: argparse._SubParsersAction) -> None:
    """Declare the verbs."""
    verb = add_verb(verbs, "echo", "Output messages from a topic", echo)
    verb.add_argument("topic_name", help="Name of the topic, e.g. /chatter")
    verb.add_argument("message_type", nargs="?", help="Type, e.g. std_msgs/msg/String")
    verb.add_argument("--once", action="store_true", help="Print the first message and exit")
    verb.add_argument("--field", help="Print only this field; '.' selects sub-fields")
    verb.add_argument("-f", "--full-length", action="store_true", help="Print long arrays whole")
    verb.add_argument(
        "-l", "--truncate-length", type=int, default=128, help="Longest text and array printed"
    )
    verb.add_argument("--no-arr", action="store_true", help="Don't print array fields")
    verb.add_argument("--no-str", action="store_true", help="Don't print string fields")
    verb.add_argument("--flow-style", action="store_true", help="Print each message in one line")
    verb.add_argument("--timeout", type=float, metavar="N", help="End after N seconds")
    verb.add_argument("--qos-reliability", choices=["reliable", "best_effort"])
    verb.add_argument("--qos-durability", choices=["transient_local", "volatile"])
    add_discovery_argument(verb)
    verb = add_verb(verbs, "hz", "Print the average publishing rate to screen", hz)
    verb.add_argument("topic_name", help="Name of the topic, e.g. /chatter")
    verb.add_argument("-w", "--window", type=int, default=10000, help="Messages to average over")
    add_discovery_argument(verb)


def echo(args: argparse.Namespace) -> str | None:
    """Print messages until the wanted number or time is reached."""
    done = False

    def show(message: Any) -> None:
        nonlocal done
        if done and args.once:
            return
        done = args.once
        print(_format(_select(message, args.field), args), end="---\n")

    with cli_node() as node:
        topic = absolute(args.topic_name)
        known = wait_for(node, lambda: node.count_publishers(topic), args.spin_time)
        discover(node, _FURTHER_PUBLISHERS_S if known else 0.0)
        cls = _message_class(node, args.topic_name, args.message_type)
        if cls is None:
            return "Could not determine the type for the passed topic"
        qos = _matching_qos(node, topic, args)
        node.create_subscription(cls, args.topic_name, show, qos)
        wait_for(node, lambda: done, args.timeout)
    return None


def hz(args: argparse.Namespace) -> None:
    """Print the rate of a topic every second."""
    arrivals: deque[float] = deque(maxlen=max(args.window, 1) + 1)
    with cli_node() as node:
        wait_for(node, lambda: node.count_publishers(absolute(args.topic_name)), args.spin_time)
        cls = _message_class(node, args.topic_name, None)
        while cls is None and rclpy.ok():
            rclpy.spin_once(node, timeout_sec=0.1)
            cls = _message_class(node, args.topic_name, None, warn=False)
        node.create_subscription(
            cls,
            args.topic_name,
            lambda message: arrivals.append(time.monotonic()),
            qos_profile_sensor_data,
        )
        printed = 0.0
        while rclpy.ok():
            rclpy.spin_once(node, timeout_sec=0.1)
            if len(arrivals) > 1 and arrivals[-1] >= printed + 1.0:
                if printed:  # the first second only fills the window
                    print(_rate(list(arrivals)))
                printed = arrivals[-1]


def _rate(arrivals: list[float]) -> str:
    """Return rate and spread of arrival times (s)."""
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    rate = 1.0 / mean if mean > 0.0 else 0.0
    return (
        f"average rate: {rate:.3f}\n\tmin: {min(gaps):.3f}s max: {max(gaps):.3f}s "
        f"std dev: {deviation:.5f}s window: {len(gaps)}"
    )


def _message_class(node: Node, topic: str, given: str | None, warn: bool = True) -> type | None:
    """Return the class of a topic's messages, None (with a warning) where it is unknown."""
    name = absolute(topic)
    if given is None:
        types = dict(node.get_topic_names_and_types()).get(name, [])
        if not types:
            if warn:
                print(f"WARNING: topic [{topic}] does not appear to be published yet")
            return None
        if len(types) > 1:
            raise RuntimeError(
                f"Cannot echo topic '{topic}', as it contains more than one type: "
                f"[{', '.join(types)}]"
            )
        given = types[0]
    try:
        return get_interface(given, "msg")
    except ValueError:
        raise RuntimeError(f"The message type '{given}' is invalid") from None


def _matching_qos(node: Node, topic: str, args: argparse.Namespace) -> QoSProfile:
    """Return the strictest profile that receives from all publishers of a topic."""
    offered = [info.qos_profile for info in node.get_publishers_info_by_topic(topic)]
    reliable = args.qos_reliability == "reliable" or (
        args.qos_reliability is None
        and bool(offered)
        and all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered)
    )
    latched = args.qos_durability == "transient_local" or (
        args.qos_durability is None
        and bool(offered)
        and all(qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered)
    )
    return QoSProfile(
        depth=10,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _select(message: Any, field: str | None) -> Any:
    """Return a field of a message, or the message; raise RuntimeError for an unknown field."""
    for part in filter(None, (field or "").split(".")):
        if not hasattr(message, part):
            raise RuntimeError(f"Invalid field '{field}': {type(message).__name__} has no '{part}'")
        message = getattr(message, part)
    return message


def _format(value: Any, args: argparse.Namespace) -> str:
    """Return a message as YAML, anything else as Python prints it."""
    if not hasattr(value, "get_fields_and_field_types"):
        return f"{value}\n"
    truncate = None if args.full_length else args.truncate_length
    plain = to_plain(value, truncate=truncate, no_arr=args.no_arr, no_str=args.no_str)
    return to_yaml(plain, args.flow_style)
