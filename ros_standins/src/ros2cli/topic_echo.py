# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic echo`: print what a topic says."""

from __future__ import annotations

import argparse
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from ros2cli.graph import POLL_S, absolute, cli_node, wait_for
from ros2cli.messages import get_interface, to_yaml

LONGEST = 128  # characters of a text and elements of an array that are printed


class Echo:
    """A subscription whose profile follows the publishers, which become known one after the other."""

    def __init__(self, node: Node, topic: str, cls: type, args: argparse.Namespace) -> None:
        self.first = Future()
        self._node, self._topic, self._cls, self._args = node, topic, cls, args
        self._publishers_known = False
        self._profile = ("best_effort", "volatile")  # hears all publishers, but not what they keep
        self._subscription = self._subscribe()
        self._follow()
        node.create_timer(POLL_S, self._follow)

    def _subscribe(self) -> Any:
        reliability, durability = self._profile
        qos = make_qos(self._args.qos_reliability or reliability, self._args.qos_durability or durability)
        return self._node.create_subscription(self._cls, self._topic, self._show, qos)

    def _follow(self) -> None:
        """Subscribe anew for the first publishers, and for later ones that offer less."""
        offered = [info.qos_profile for info in self._node.get_publishers_info_by_topic(self._topic)]
        reliable = all(q.reliability == ReliabilityPolicy.RELIABLE for q in offered)
        latched = all(q.durability == DurabilityPolicy.TRANSIENT_LOCAL for q in offered)
        best = ("reliable" if reliable else "best_effort", "transient_local" if latched else "volatile")
        if self._publishers_known:  # the weaker; a stricter one would hear again what is kept
            best = (min(best[0], self._profile[0]), max(best[1], self._profile[1]))
        if offered and best != self._profile:
            self._profile = best
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()
        self._publishers_known |= bool(offered)

    def _show(self, message: Any) -> None:
        if not (self._args.once and self.first.done()):
            print(_format(_select(message, self._args.field), self._args), end="---\n")
        self.first.set_result(True)


def echo(args: argparse.Namespace) -> None:
    """Output messages from a topic."""
    topic = absolute(args.topic_name)
    with cli_node() as node:
        listener = Echo(node, topic, message_class(node, topic, args.message_type, args.spin_time), args)
        rclpy.spin_until_future_complete(node, listener.first if args.once else Future())


def message_class(node: Node, topic: str, given: str | None, spin_time: float) -> type:
    """Return the class of a topic's messages; raise RuntimeError where it is unknown."""
    types = (
        [given] if given else wait_for(lambda: dict(node.get_topic_names_and_types()).get(topic), spin_time)
    )
    if not types:
        print(f"WARNING: topic [{topic}] does not appear to be published yet")
        raise RuntimeError("Could not determine the type for the passed topic")
    if len(types) > 1:
        raise RuntimeError(f"Topic '{topic}' has more than one type: [{', '.join(types)}]")
    return get_interface(types[0], "msg")


def make_qos(reliability: str, durability: str) -> QoSProfile:
    """Return a profile for policies by their names."""
    return QoSProfile(
        depth=10,
        reliability=ReliabilityPolicy[reliability.upper()],
        durability=DurabilityPolicy[durability.upper()],
    )


def _select(message: Any, field: str | None) -> Any:
    """Return a field of a message, or the message; raise RuntimeError for an unknown field."""
    for part in field.split(".") if field else []:
        if not hasattr(message, part):
            raise RuntimeError(f"Invalid field '{field}': {type(message).__name__} has no '{part}'")
        message = getattr(message, part)
    return message


def _format(value: Any, args: argparse.Namespace) -> str:
    """Return a message as YAML, anything else as Python prints it."""
    if not hasattr(value, "get_fields_and_field_types"):
        return f"{value}\n"
    return to_yaml(value, None if args.full_length else LONGEST)
