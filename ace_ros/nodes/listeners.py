# SPDX-License-Identifier: Apache-2.0
"""Waiting for those who listen: what is published before they are connected never reaches them.

Publishers and subscribers find each other in their own time, within 0.3 to 2 s on one machine.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

SETTLE_S = 0.5  # one more subscriber than before may be followed by another


class Publisher(Protocol):
    """What is asked of a publisher."""

    def get_subscription_count(self) -> int:
        """Return how many subscribers it is connected with."""
        ...


class Listeners:
    """The subscribers of publishers, which are given by their topics."""

    def __init__(self, publishers: Mapping[str, Publisher], patience_s: float) -> None:
        self._publishers = dict(publishers)
        self._counts: dict[str, int] = {}
        self._settled_at = 0.0
        self._give_up_at = time.monotonic() + patience_s

    def missing(self) -> list[str]:
        """Return the topics that nobody subscribes to."""
        return [topic for topic, count in self._count().items() if count == 0]

    def ready(self) -> bool:
        """Return whether every topic has a subscriber and no more are coming, or patience has run out."""
        now, counts = time.monotonic(), self._count()
        if counts != self._counts:
            self._counts, self._settled_at = counts, now + SETTLE_S
        return now >= self._give_up_at or (0 not in counts.values() and now >= self._settled_at)

    def _count(self) -> dict[str, int]:
        return {topic: one.get_subscription_count() for topic, one in self._publishers.items()}


def nobody_hears(topics: list[str]) -> str:
    """Return the sentence on topics that nobody subscribes to; empty where there is none."""
    return f"nobody subscribes to {', '.join(topics)}" if topics else ""
