# SPDX-License-Identifier: Apache-2.0
"""When training has nothing left to gain: the held-out images are predicted no better."""

from __future__ import annotations

CHECK_EVERY = 0.02  # of the schedule between two looks at the held-out images
EARLIEST = 0.3  # share of the schedule; before it the learning rate hides what is learned
PATIENCE = 0.2  # share of the schedule without a gain
GAIN = 0.005  # smallest gain in the share of inliers that counts
LEARNED = 0.1  # share of inliers; with less, a slow processor has hardly begun, whatever it gains


class Plateau:
    """Says when a share, measured now and then, no longer grows."""

    def __init__(self) -> None:
        self._next = 0.0
        self._best, self._best_at, self._last_at = -1.0, 0.0, 0.0

    def due(self, progress: float) -> bool:
        """Return whether the share should be measured at this progress of 0 to 1."""
        return progress >= self._next

    def add(self, progress: float, share: float) -> None:
        """Take a share that was measured."""
        self._next, self._last_at = progress + CHECK_EVERY, progress
        if share > self._best + GAIN:
            self._best, self._best_at = share, progress

    @property
    def reached(self) -> bool:
        """Return whether the share has not grown for long enough."""
        waited = self._last_at >= EARLIEST and self._last_at - self._best_at >= PATIENCE
        return waited and self._best >= LEARNED
