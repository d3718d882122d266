# SPDX-License-Identifier: Apache-2.0
"""Timers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from .callback_groups import CallbackGroup
from .clock import Clock
from .duration import S_TO_NS


class Timer:
    """Calls back once per period. Periods that were missed are left out, not made up for."""

    def __init__(
        self,
        callback: Callable[[], Any],
        callback_group: CallbackGroup,
        timer_period_ns: int,
        clock: Clock,
        *,
        wake: Callable[[], None],
        autostart: bool = True,
    ) -> None:
        self.callback = callback
        self.callback_group = callback_group
        self.clock = clock
        self._period_ns = int(timer_period_ns)
        self._wake = wake
        self._lock = threading.Lock()
        self._canceled = not autostart
        self._simulated = False
        self._called_ns = self._next_ns = 0
        self._restart()

    @property
    def timer_period_ns(self) -> int:
        """Return the period in nanoseconds."""
        return self._period_ns

    @timer_period_ns.setter
    def timer_period_ns(self, value: int) -> None:
        with self._lock:
            self._period_ns = int(value)
            self._next_ns = self._called_ns + self._period_ns
        self._wake()

    def cancel(self) -> None:
        """Stop calling back."""
        self._canceled = True
        self._wake()

    def reset(self) -> None:
        """Begin a new period now, also after cancel()."""
        with self._lock:
            self._restart()
            self._canceled = False
        self._wake()

    def is_canceled(self) -> bool:
        """Return whether cancel() was called."""
        return self._canceled

    def is_ready(self) -> bool:
        """Return whether the callback is due."""
        return self._is_ready()

    def time_since_last_call(self) -> int:
        """Return nanoseconds since the last call, or since the start."""
        return self._now_ns() - self._called_ns

    def time_until_next_call(self) -> int | None:
        """Return nanoseconds until the next call, negative if late; None if cancelled."""
        return None if self._canceled else self._next_ns - self._now_ns()

    def destroy(self) -> None:
        """Stop for good."""
        self.cancel()

    def _is_ready(self) -> bool:
        if self._canceled:
            return False
        with self._lock:
            now = self._now_ns()
            jumped = self._next_ns - now > self._period_ns
            if jumped or self._simulated != self.clock.ros_time_is_active:
                self._restart()
            return self._next_ns <= now

    def _take(self) -> Callable[[], None] | None:
        with self._lock:
            now = self._now_ns()
            if self._canceled or self._next_ns > now:
                return None
            self._called_ns = now
            self._next_ns += self._period_ns
            if self._next_ns <= now:  # late by a period or more: skip what was missed
                missed = (now - self._next_ns) // max(self._period_ns, 1)
                self._next_ns += (missed + 1) * self._period_ns
        return self.callback

    def _wait_s(self) -> float | None:
        """Return seconds until due; None if cancelled, or where each /clock message wakes."""
        if self._canceled or self.clock.ros_time_is_active:
            return None
        return (self._next_ns - self._now_ns()) / S_TO_NS

    def _restart(self) -> None:
        self._simulated = self.clock.ros_time_is_active
        self._called_ns = self._now_ns()
        self._next_ns = self._called_ns + self._period_ns

    def _now_ns(self) -> int:
        # Without simulated time a period is measured on the clock that nobody sets.
        return self.clock._now_ns() if self.clock.ros_time_is_active else time.monotonic_ns()
