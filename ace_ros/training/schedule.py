# SPDX-License-Identifier: Apache-2.0
"""How far training is, and the learning rate there."""

from __future__ import annotations

import math
import time

# Share of training at which the learning rate is largest. The paper's 0.3 spends thousands of steps
# on warming up; with the few steps that a CPU has, they are needed for learning.
PEAK = 0.1
START_DIVISOR, END_DIVISOR = 25.0, 250_000.0


def one_cycle(progress: float) -> float:
    """Return the learning rate at a progress of 0 to 1 as a share of its maximum.

    The one-cycle policy (Smith and Topin, 2019): a cosine up until PEAK, a cosine down to nothing.
    """
    if progress < PEAK:
        start, end, share = 1.0 / START_DIVISOR, 1.0, progress / PEAK
    else:
        start, end, share = 1.0, 1.0 / END_DIVISOR, (min(progress, 1.0) - PEAK) / (1.0 - PEAK)
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * share))


class Clock:
    """Progress by steps or by time, whichever is further: a slow machine ends its schedule in time."""

    def __init__(self, steps: int, time_budget_s: float) -> None:
        self.steps, self.time_budget_s = steps, time_budget_s
        self.step = 0
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since training began."""
        return time.monotonic() - self._began

    @property
    def progress(self) -> float:
        """Return how far training is, 0 to 1."""
        return min(1.0, max(self.step / self.steps, self.elapsed_s / self.time_budget_s))

    @property
    def remaining_s(self) -> float:
        """Return the estimated seconds until the end; NaN before the first steps."""
        if self.step < 5:
            return math.nan
        by_steps = self.elapsed_s / self.step * (self.steps - self.step)
        return max(0.0, min(by_steps, self.time_budget_s - self.elapsed_s))

    @property
    def expected_steps(self) -> int:
        """Return the number of steps that training will have at its end, at the present speed."""
        if self.step < 5:
            return self.steps
        return min(self.steps, max(self.step, round(self.step / max(self.progress, 1e-9))))
