# SPDX-License-Identifier: Apache-2.0
"""Which stamps of a stream to believe: one far from those before is believed with the next that agrees."""

from __future__ import annotations

import time
from enum import Enum

# Stamps that go back by more than this are a restart, a loop of a bag or a stepped clock; by less,
# messages that overtook each other.
TIME_JUMP_NS = 500_000_000
# Stamps that run ahead by more than this, and by more than so many times the time that has passed since the
# last message came (a bag may be played fast), leap.
LEAP_NS, LEAP_RATE = 5_000_000_000, 10


class Order(Enum):
    """How a stamp stands to those before it."""

    NEXT = 0
    OLD = 1  # the same, or a little older: repeated, or overtaken
    APART = 2  # far ahead or far back, and nothing yet agrees with it
    BACK = 3  # far back, and so was the one before: time has jumped


class StampLine:
    """The stamps of one stream. `newest` is the last one that was believed, 0 before the first.

    A single stamp from another year must not make all later ones old, nor count as a jump of time.
    """

    def __init__(self) -> None:
        self.newest = 0
        self._apart = 0
        self._received = 0.0

    def take(self, stamp_ns: int) -> Order:
        """Take the next stamp in nanoseconds, which is above 0."""
        now = time.monotonic()
        leap = LEAP_NS + LEAP_RATE * int(1e9 * (now - self._received))
        ahead = stamp_ns - self.newest
        if self.newest and not -TIME_JUMP_NS < ahead <= leap:
            agrees = self._apart and 0 < stamp_ns - self._apart <= leap
            if not agrees:
                self._apart = stamp_ns
                return Order.APART
        elif ahead <= 0:
            return Order.OLD
        self.newest, self._apart, self._received = stamp_ns, 0, now
        return Order.NEXT if ahead > 0 else Order.BACK

    @property
    def unsure(self) -> bool:
        """Whether the next stamp decides if time has jumped back."""
        return 0 < self._apart < self.newest


def apart(stamp_ns: int, newest_ns: int) -> str:
    """Return in words how far a stamp is from the one before."""
    seconds = (stamp_ns - newest_ns) / 1e9
    return f"is stamped {abs(seconds):.1f} s {'after' if seconds > 0 else 'before'} the one before"
