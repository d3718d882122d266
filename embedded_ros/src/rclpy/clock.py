# SPDX-License-Identifier: Apache-2.0
"""Clocks."""

from __future__ import annotations

import time

from .clock_type import ClockType
from .time import Time

__all__ = ["Clock", "ClockType", "ROSClock"]


class Clock:
    """A clock of one kind."""

    def __init__(self, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> None:
        self._clock_type = clock_type
        self._simulated_ns: int | None = None

    @property
    def clock_type(self) -> ClockType:
        """Return the kind of the clock."""
        return self._clock_type

    @property
    def ros_time_is_active(self) -> bool:
        """Return whether the clock shows simulated time."""
        return self._simulated_ns is not None

    def now(self) -> Time:
        """Return the time now."""
        return Time(nanoseconds=self._now_ns(), clock_type=self._clock_type)

    def _now_ns(self) -> int:
        if self._simulated_ns is not None:
            return self._simulated_ns
        if self._clock_type == ClockType.STEADY_TIME:
            return time.monotonic_ns()
        return time.time_ns()

    def _simulate(self, time_ns: int | None) -> None:
        """Show simulated time from now on, or the system's time again (None)."""
        self._simulated_ns = time_ns


class ROSClock(Clock):
    """The clock of nodes."""

    def __init__(self) -> None:
        super().__init__(clock_type=ClockType.ROS_TIME)
