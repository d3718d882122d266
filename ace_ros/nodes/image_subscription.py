# SPDX-License-Identifier: Apache-2.0
"""A subscription of images that asks for them reliably where all who publish them offer that.

Sensor data is best effort by custom, and a best-effort subscription hears every publisher. But over
Fast DDS images are then lost as soon as they do not fit its shared memory, while a reliable one gets
all. Publishers come and go while a node runs, so what is asked for follows them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from ace_ros.nodes.conversions import stamp_ns

DEPTH = 30  # a second of a fast camera, for a processor that is busy so long
CHECK_PERIOD_S = 0.5
MOST_CHECKS = 256  # two minutes
CHECKS_KEPT = 20  # a subscription that is left and hears nothing ends after so many
REMEMBERED = 64


class ReliabilityChoice:
    """What to ask for: `asked` is auto, reliable or best_effort; auto follows what publishers offer."""

    def __init__(self, asked: str) -> None:
        self._auto = asked == "auto"
        self.reliability = (
            ReliabilityPolicy.RELIABLE if asked == "reliable" else ReliabilityPolicy.BEST_EFFORT
        )
        self._agreed, self._needed = 0, 1

    def decide(self, offered: Sequence[ReliabilityPolicy]) -> ReliabilityPolicy:
        """Return what to ask for, by what each publisher offers at this check.

        A best-effort publisher must be heard at once; after each one, it takes twice as many checks
        until its leaving is believed, so that one that comes and goes does not cost images.
        """
        reliable = self.reliability is ReliabilityPolicy.RELIABLE
        if not self._auto or not offered:
            return self.reliability
        if ReliabilityPolicy.BEST_EFFORT in offered:
            self._agreed = 0
            if reliable:
                self._needed = min(2 * self._needed, MOST_CHECKS)
            self.reliability = ReliabilityPolicy.BEST_EFFORT
        elif all(one is ReliabilityPolicy.RELIABLE for one in offered) and not reliable:
            self._agreed += 1
            if self._agreed >= self._needed:
                self.reliability = ReliabilityPolicy.RELIABLE
        return self.reliability


class ImageSubscription:
    """Calls `on_image` with each message of a topic, one at a time.

    A new subscription takes over with its first message; until then the old one goes on, and what
    both have heard is given on once.
    """

    def __init__(
        self, node: Node, kind: type, topic: str, choice: ReliabilityChoice, on_image: Callable[[Any], None]
    ) -> None:
        self._node, self._kind, self._choice, self._on_image = node, kind, choice, on_image
        self.topic = node.resolve_topic_name(topic)
        self._asked_topic = topic
        self._recent: deque[int] = deque(maxlen=REMEMBERED)
        self._taking_over = False
        self._left: list[_Reader] = []
        self._next: _Reader | None = None
        self._live = self._subscribe(choice.reliability)
        self._offered: list[ReliabilityPolicy] = []
        self._timer = node.create_timer(CHECK_PERIOD_S, self._check)

    @property
    def reliable(self) -> bool:
        """Whether images are received reliably."""
        return self._live.reliability is ReliabilityPolicy.RELIABLE

    @property
    def publishers(self) -> int:
        """How many publishers the topic has."""
        return len(self._offered)

    @property
    def unheard(self) -> int:
        """How many of them offer best effort where it is asked for reliably: nothing of theirs arrives."""
        return self._offered.count(ReliabilityPolicy.BEST_EFFORT) if self.reliable else 0

    def _check(self) -> None:
        for reader in list(self._left):
            reader.checks += 1
            if reader.checks > CHECKS_KEPT:
                self._end(reader)
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        self._offered = [one.qos_profile.reliability for one in publishers]
        wanted = self._choice.decide(self._offered)
        if wanted is (self._next or self._live).reliability:
            return
        if self._next is not None:
            self._left.append(self._next)
            self._next = None
        if wanted is not self._live.reliability:
            self._next = self._subscribe(wanted)

    def _subscribe(self, reliability: ReliabilityPolicy) -> _Reader:
        reader = _Reader(reliability)
        reader.subscription = self._node.create_subscription(
            self._kind,
            self._asked_topic,
            lambda message: self._take(reader, message),
            QoSProfile(depth=DEPTH, reliability=reliability),
        )
        return reader

    def _take(self, reader: _Reader, message: Any) -> None:
        if reader is self._next:
            self._left.append(self._live)
            self._live, self._next, self._taking_over = reader, None, True
            how = "reliably" if self.reliable else "with best effort"
            self._node.get_logger().info(f"{self.topic} is received {how}, as it is published")
        if reader is not self._live:
            # Ended while its own message is handled: no other one can be on its way to it then.
            self._end(reader)
            return
        stamp = stamp_ns(message.header.stamp)
        if self._taking_over and stamp and stamp in self._recent:
            return
        self._taking_over = False
        self._recent.append(stamp)
        self._on_image(message)

    def _end(self, reader: _Reader) -> None:
        if reader in self._left:
            self._left.remove(reader)
            self._node.destroy_subscription(reader.subscription)


class _Reader:
    """A subscription, what it asks for, and for how many checks it has been left."""

    def __init__(self, reliability: ReliabilityPolicy) -> None:
        self.reliability = reliability
        self.subscription: Any = None
        self.checks = 0
