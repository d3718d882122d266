# SPDX-License-Identifier: Apache-2.0
"""Which reliability is asked for, and that no image is lost or doubled when it changes."""

from __future__ import annotations

from itertools import pairwise

import pytest

pytest.importorskip("rclpy")

from graph import Graph, wait_for
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from ace_ros.nodes.image_subscription import MOST_CHECKS, ImageSubscription, ReliabilityChoice

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
UNKNOWN = ReliabilityPolicy.UNKNOWN


@pytest.mark.parametrize(("asked", "expected"), [("reliable", RELIABLE), ("best_effort", BEST_EFFORT)])
def test_what_was_asked_for_stays(asked: str, expected: ReliabilityPolicy) -> None:
    choice = ReliabilityChoice(asked)
    for offered in ([], [RELIABLE], [BEST_EFFORT], [RELIABLE, BEST_EFFORT]):
        assert choice.decide(offered) is expected is choice.reliability


def test_auto_is_reliable_where_every_publisher_is() -> None:
    choice = ReliabilityChoice("auto")
    assert choice.reliability is BEST_EFFORT and choice.decide([]) is BEST_EFFORT
    assert choice.decide([RELIABLE, UNKNOWN]) is BEST_EFFORT
    assert choice.decide([RELIABLE, RELIABLE]) is RELIABLE
    assert choice.decide([]) is RELIABLE  # the camera's driver starts again
    assert choice.decide([RELIABLE, BEST_EFFORT]) is BEST_EFFORT
    assert choice.decide([BEST_EFFORT]) is BEST_EFFORT


def test_a_publisher_that_comes_and_goes_does_not_make_it_flap() -> None:
    choice = ReliabilityChoice("auto")
    found = [choice.decide([RELIABLE, BEST_EFFORT] if i % 4 == 0 else [RELIABLE]) for i in range(2000)]
    changes = sum(a is not b for a, b in pairwise(found))
    assert changes <= 6
    for _ in range(MOST_CHECKS):
        choice.decide([RELIABLE])
    assert choice.reliability is RELIABLE


class Camera:
    """Publishes numbered images with one reliability."""

    def __init__(self, graph: Graph, topic: str, reliability: ReliabilityPolicy) -> None:
        self._graph = graph
        qos = QoSProfile(depth=50, reliability=reliability)
        self._publisher = graph.node.create_publisher(Image, topic, qos)

    def publish(self, number: int) -> None:
        message = Image(height=1, width=1, encoding="mono8", step=1, data=[0])
        message.header.stamp.sec = number
        self._publisher.publish(message)

    def leave(self) -> None:
        self._graph.node.destroy_publisher(self._publisher)


def test_it_follows_publishers_that_come_and_go(graph: Graph) -> None:
    heard: list[int] = []

    def hear(message: Image) -> None:
        heard.append(message.header.stamp.sec)

    choice = ReliabilityChoice("auto")
    subscription = ImageSubscription(graph.node, Image, "/following/image", choice, hear)
    assert not subscription.reliable
    number = 0

    def publish_until(camera: Camera, reliable: bool) -> list[int]:
        """Publish until a change, and a little on; return what was published since it was heard."""
        nonlocal number
        first = None

        def heard_as_expected() -> bool:
            nonlocal number, first
            number += 1
            camera.publish(number)
            first = first or (number if heard and heard[-1] >= number - 1 else None)
            return subscription.reliable is reliable and first is not None

        wait_for(f"reliable is {reliable}", heard_as_expected)
        for _ in range(20):
            number += 1
            camera.publish(number)
        wait_for("the last image", lambda: heard[-1] == number)
        return list(range(first, number + 1))

    quick = Camera(graph, "/following/image", BEST_EFFORT)
    publish_until(quick, reliable=False)
    quick.leave()
    sure = Camera(graph, "/following/image", RELIABLE)
    published = publish_until(sure, reliable=True)
    assert [n for n in heard if n >= published[0]] == published  # nothing lost, nothing doubled, in order
    quick = Camera(graph, "/following/image", BEST_EFFORT)
    publish_until(quick, reliable=False)
    assert len(heard) == len(set(heard)) and heard == sorted(heard)

    def subscriptions() -> int:
        return len(graph.node.get_subscriptions_info_by_topic("/following/image"))

    sure.publish(number + 1)
    wait_for("the end of the subscription that was left", lambda: subscriptions() == 1, 20.0)
