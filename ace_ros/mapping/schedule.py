# SPDX-License-Identifier: Apache-2.0
"""How far training is, and the learning rate there."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

# Share of training at which the learning rate is largest. The paper's 0.3 spends thousands of steps
# on warming up; with the few steps that a CPU has, they are needed for learning.
PEAK = 0.1
START_DIVISOR, END_DIVISOR = 25.0, 250_000.0
HURRY = 4.0


def one_cycle(progress: float) -> float:
    """Return the learning rate at a progress of 0 to 1 as a share of its maximum.

    The one-cycle policy (Smith and Topin, 2019): a cosine up until PEAK, a cosine down to nothing.
    """
    if progress < PEAK:
        start, end, share = 1.0 / START_DIVISOR, 1.0, progress / PEAK
    else:
        start, end, share = 1.0, 1.0 / END_DIVISOR, (min(progress, 1.0) - PEAK) / (1.0 - PEAK)
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * share))


@dataclass(frozen=True)
class Phase:
    """A stretch of training: where its curriculum begins, and how large its learning rates are at most."""

    curriculum_start: float
    rate: float

    def curriculum(self, progress: float) -> float:
        """Return how far the curriculum is when the phase has a progress of 0 to 1."""
        return self.curriculum_start + (1.0 - self.curriculum_start) * progress

    def learning_rate(self, progress: float) -> float:
        """Return the learning rate there as a share of the configured maximum."""
        return self.rate * one_cycle(progress)


LEARNING = Phase(curriculum_start=0.0, rate=1.0)
# Takes in the frames that were held out, when the map has been validated without them.
FINISHING = Phase(curriculum_start=0.8, rate=0.3)


class Clock:
    """Progress by steps or by time, whichever is further: a slow machine ends its schedule in time."""

    def __init__(self, steps: int, time_budget_s: float) -> None:
        self.steps, self.time_budget_s = steps, time_budget_s
        self.step = 0
        self._began = time.monotonic()
        self._ended = 0.0
        self._pace, self._hurried_at = 1.0, 0.0

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since training began, until it ended."""
        return (self._ended or time.monotonic()) - self._began

    def stop(self) -> None:
        """Let no more time pass: training has ended."""
        self._ended = time.monotonic()

    @property
    def progress(self) -> float:
        """Return how far training is, 0 to 1."""
        return min(1.0, self._hurried_at + self._pace * (self._spent - self._hurried_at))

    @property
    def by_time(self) -> bool:
        """Return whether the time limits training, and not the number of steps."""
        return self.elapsed_s / self.time_budget_s > self.step / self.steps

    def hurry(self) -> None:
        """Run the rest of the schedule HURRY times as fast."""
        if self._pace == 1.0:
            self._hurried_at, self._pace = self._spent, HURRY

    @property
    def hurried(self) -> bool:
        """Return whether the schedule was shortened."""
        return self._pace != 1.0

    @property
    def remaining_s(self) -> float:
        """Return the estimated seconds until the end; NaN before the first steps."""
        if self.step < 5:
            return math.nan
        return self.elapsed_s / max(self._spent, 1e-9) * (1.0 - self.progress) / self._pace

    @property
    def expected_steps(self) -> int:
        """Return the number of steps that training will have at its end, at the present speed."""
        if self.step < 5:
            return self.steps
        per_share = self.step / max(self._spent, 1e-9)
        return max(self.step, round(self.step + per_share * (1.0 - self.progress) / self._pace))

    @property
    def _spent(self) -> float:
        """Return the share of the steps or of the time that is used up, whichever is larger.

        Nothing before the first step, so that the same seed gives the same map where steps decide.
        """
        if self.step == 0:
            return 0.0
        return max(self.step / self.steps, self.elapsed_s / self.time_budget_s)
