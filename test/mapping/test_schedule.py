# SPDX-License-Identifier: Apache-2.0
"""How far training is, and the learning rate there."""

from __future__ import annotations

import math

import pytest

from ace_ros.mapping.schedule import Clock, one_cycle


def test_the_learning_rate_rises_to_its_maximum_and_falls_to_nothing() -> None:
    rates = [one_cycle(t / 100) for t in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == pytest.approx(1.0) and rates.index(max(rates)) == 10
    assert rates[-1] < 1e-5
    assert all(0 < r <= 1 for r in rates)


def test_the_clock_follows_steps_or_time_whichever_is_further() -> None:
    by_steps = Clock(10, 1e6)
    by_steps.step = 5
    assert by_steps.progress == 0.5
    assert math.isfinite(by_steps.remaining_s)
    by_time = Clock(10**9, 1e-3)
    by_time.step = 1
    while by_time.elapsed_s < 2e-3:
        pass
    assert by_time.progress == 1.0
