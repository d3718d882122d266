# SPDX-License-Identifier: Apache-2.0
"""How many of a camera's images arrive, told by their stamps alone.

Stamps of images that were lost on the way leave holes of whole periods, here and there. A camera that
slows down, a bag that is paused and a topic that is thinned out on purpose leave holes, too, but even
ones or a single one: nothing is said of those. Where next to no image arrives, the stamps of
camera_info, which cameras publish with every image and which are small, tell what there was.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WINDOW_NS = 10_000_000_000
SILENT_S = 5.0  # nothing for so long is no rate
JUMP_NS = 500_000_000  # stamps that go back by more begin anew
MIN_GAPS = 10  # fewer tell no period
MIN_INFOS = 20
MIN_HOLES = 5
MUCH = 0.5  # a smaller share of images that arrive is complained about
PERIODS_PER_GAP = 40  # the smallest gap between stamps is taken to be this many periods at most
MIN_FIT, MIN_EVIDENCE = 0.5, 8.0  # stamps may be off by a sixth of a period
RUN = 4
SAME, ALIKE, EVEN = 0.9, 0.65, 0.5  # shares from which gaps count as the same, runs as alike, holes as even


@dataclass(frozen=True)
class Rate:
    """Images per second that arrive and that there are, by stamps; NaN where that is not known."""

    arriving: float = math.nan
    offered: float = math.nan

    @property
    def much_is_missing(self) -> bool:
        """Whether less than half of the images arrive."""
        return self.arriving < MUCH * self.offered  # never with NaN


class ImageRate:
    """The stamps of the last 10 s."""

    def __init__(self) -> None:
        self._images, self._infos = _Stamps(), _Stamps()

    def take_image(self, stamp_ns: int) -> None:
        """Take the stamp of an image that has arrived."""
        self._images.add(stamp_ns, time.monotonic())

    def take_info(self, stamp_ns: int) -> None:
        """Take the stamp of a camera_info that has arrived."""
        self._infos.add(stamp_ns, time.monotonic())

    def measure(self) -> Rate:
        """Return the rate now."""
        now = time.monotonic()
        return rate_of(self._images.recent(now), self._infos.recent(now))


class _Stamps:
    """Sorted stamps of one topic."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._received = -math.inf

    def add(self, stamp: int, now: float) -> None:
        if stamp == 0:
            return
        jumped = bool(self._stamps) and stamp < self._stamps[-1] - JUMP_NS
        if jumped or now - self._received > SILENT_S:
            self._stamps = []
        self._received = now
        if stamp not in self._stamps[-20:]:
            insort(self._stamps, stamp)
        del self._stamps[: bisect_left(self._stamps, self._stamps[-1] - WINDOW_NS)]

    def recent(self, now: float) -> list[int]:
        return self._stamps if now - self._received < SILENT_S else []


def rate_of(images: Sequence[int], infos: Sequence[int] = ()) -> Rate:
    """Return the rate by the sorted stamps in nanoseconds of images and of camera_info."""
    gaps = np.diff(np.asarray(images, np.float64)) / 1e9
    arriving = len(gaps) / float(gaps.sum()) if len(gaps) else math.nan
    if len(gaps) >= RUN - 1 and _same_share(gaps) >= SAME:
        return Rate(arriving, arriving)
    period = period_of(gaps) if len(gaps) >= MIN_GAPS else math.nan
    if not math.isnan(period):
        return Rate(arriving, arriving if _holes_are_even(np.round(gaps / period)) else 1.0 / period)
    if len(infos) < max(MIN_INFOS, 3 * len(images)):
        return Rate(arriving)
    seconds = (infos[-1] - infos[0]) / 1e9
    within = len(images) - bisect_left(images, infos[0])
    return Rate(within / seconds, (len(infos) - 1) / seconds)


def period_of(gaps: np.ndarray) -> float:
    """Return the longest period in seconds that gaps (N,) are multiples of, NaN where there is none."""
    ordered = np.sort(gaps[gaps > 0])
    count = np.arange(1, len(ordered) + 1)
    for divisor in range(1, PERIODS_PER_GAP + 1):
        period, multiples = ordered[0] / divisor, 0.0
        # Small gaps, of which the multiple is sure, make the period exact enough for larger ones.
        for total, gap in zip(np.cumsum(ordered).tolist(), ordered.tolist(), strict=True):
            multiples += max(1.0, round(gap / period))
            period = total / multiples
        # The mean is 1 for exact multiples, and about 1 / sqrt(N) by chance.
        fit = float(np.cos(2.0 * np.pi * ordered / period).mean())
        if fit >= MIN_FIT and fit * fit * count[-1] >= MIN_EVIDENCE:
            return float(period)
    return math.nan


def _holes_are_even(periods: np.ndarray) -> bool:
    """Return whether gaps of (N,) periods have no holes but a few, or such as a slower camera makes.

    Even holes are in runs of gaps that are nearly the same; where images are lost, gaps vary.
    """
    holes = np.flatnonzero(periods > 1)
    if len(holes) < MIN_HOLES:
        return True
    runs = np.lib.stride_tricks.sliding_window_view(periods, RUN)
    alike = np.flatnonzero(runs.min(1) >= ALIKE * runs.max(1))
    in_runs = {int(start) + i for start in alike for i in range(RUN)}
    return len(in_runs.intersection(holes.tolist())) >= EVEN * len(holes)


def _same_share(gaps: np.ndarray) -> float:
    """Return the share of gaps that are about as long as the median one."""
    usual = np.median(gaps)
    return float(np.mean(np.abs(gaps - usual) <= 0.3 * usual))
