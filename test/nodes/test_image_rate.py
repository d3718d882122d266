# SPDX-License-Identifier: Apache-2.0
"""Whether images are lost on their way, by stamps alone; a camera that only slows down is left in peace."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from ace_ros.nodes.image_rate import WINDOW_NS, ImageRate, rate_of

rng = np.random.default_rng(0)


def camera(*parts: tuple[float, float], jitter_s: float = 0.001) -> np.ndarray:
    """Return stamps in nanoseconds of a camera that runs at (Hz, seconds) in turn; 0 Hz is a pause."""
    begin, stamps = 1000.0, []
    for hz, seconds in parts:
        stamps += (begin + np.arange(int(hz * seconds)) / (hz or 1.0)).tolist()
        begin += seconds
    return np.sort((1e9 * (np.array(stamps) + rng.normal(0.0, jitter_s, len(stamps)))).astype(np.int64))


def lossy(stamps: np.ndarray, share: float) -> np.ndarray:
    return stamps[rng.random(len(stamps)) < share]


def complaints(stamps: Sequence[int]) -> float:
    """Return the share of the time for which much of a sequence of stamps seems to be missing."""
    stamps = np.asarray(stamps)
    at = np.arange(stamps[0] + 10**9, stamps[-1] + 1, 250_000_000)
    missing = [rate_of(stamps[(stamps > t - WINDOW_NS) & (stamps <= t)].tolist()).much_is_missing for t in at]
    # As the nodes do, a complaint is only believed when it lasts.
    return float(np.mean(np.convolve(missing, np.ones(12), "valid") == 12))


@pytest.mark.parametrize("hz", [60.0, 30.0, 15.0, 10.0])
def test_a_whole_stream_is_one(hz: float) -> None:
    rate = rate_of(camera((hz, 10.0)).tolist())
    assert rate.arriving == pytest.approx(hz, rel=0.01) == rate.offered
    assert not rate.much_is_missing


@pytest.mark.parametrize("share", [0.4, 0.2, 0.1])
@pytest.mark.parametrize("hz", [30.0, 15.0])
@pytest.mark.parametrize("jitter_s", [0.0, 0.002])
def test_images_that_are_lost_are_counted(share: float, hz: float, jitter_s: float) -> None:
    found = []
    for _ in range(20):
        stamps = lossy(camera((hz, 10.0), jitter_s=jitter_s), share)
        rate = rate_of(stamps.tolist())
        found.append(rate.much_is_missing)
        if rate.much_is_missing:
            assert rate.offered == pytest.approx(hz, rel=0.02)
            assert rate.arriving == pytest.approx(len(stamps) / 10.0, rel=0.25)
    assert np.mean(found) >= 0.85


def test_a_tenth_that_is_lost_is_nothing_to_speak_of() -> None:
    assert complaints(lossy(camera((30.0, 60.0)), 0.9)) == 0.0


QUIET = {
    "slows down": camera((30.0, 20.0), (10.0, 20.0)),
    "slows down for a moment": camera((30.0, 10.0), (10.0, 3.0), (30.0, 10.0)),
    "takes longer exposures": camera((30.0, 5.0), (15.0, 5.0), (7.5, 5.0), (30.0, 5.0)),
    "a bag is paused": camera((30.0, 10.0), (0.0, 6.0), (30.0, 20.0)),
    "a bag is paused again and again": camera(
        (30.0, 4.0), (0.0, 3.0), (30.0, 3.0), (0.0, 2.0), (30.0, 2.0), (0.0, 3.0), (30.0, 10.0)
    ),
    "fewer images while standing": camera(*[(10.0, 2.0), (1.0, 4.0)] * 4),
    "at irregular times": 10**12 + np.cumsum(rng.uniform(3e7, 4e8, 300)).astype(np.int64),
    "at random times": 10**12 + np.cumsum(rng.exponential(1e8, 300)).astype(np.int64),
    "two or three periods at random": 10**12 + np.cumsum(33_333_333 * rng.choice([2, 3], 300)),
    "two at once": np.sort(np.concatenate([camera((15.0, 20.0)), camera((15.0, 20.0)) + 4_000_000])),
    "nearly stops": camera((0.5, 60.0)),
}


@pytest.mark.parametrize("stamps", QUIET.values(), ids=QUIET)
def test_irregular_cameras_are_left_in_peace(stamps: np.ndarray) -> None:
    assert complaints(stamps) == 0.0


@pytest.mark.parametrize("to_hz", [20.0, 12.0, 10.0, 7.0, 4.0, 1.0])
def test_a_topic_that_is_thinned_out_on_purpose_is_left_in_peace(to_hz: float) -> None:
    stamps, kept = camera((30.0, 30.0), jitter_s=0.0), []
    for stamp in stamps.tolist():
        if not kept or stamp - kept[-1] >= 1e9 / to_hz - 1e6:
            kept.append(stamp)
    assert complaints(kept) == 0.0


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_where_next_to_nothing_arrives_camera_info_tells(count: int) -> None:
    infos = camera((30.0, 10.0))
    images = np.sort(rng.choice(infos, count, replace=False)).tolist()
    rate = rate_of(images, infos.tolist())
    assert rate.much_is_missing
    assert rate.offered == pytest.approx(30.0, rel=0.01)
    assert rate.arriving == pytest.approx(count / 10, rel=0.02)
    assert not rate_of(images).much_is_missing


def test_camera_info_that_comes_once_in_a_while_tells_nothing() -> None:
    assert not rate_of(camera((30.0, 10.0)).tolist(), camera((1.0, 10.0)).tolist()).much_is_missing
    assert not rate_of([], camera((1.0, 10.0)).tolist()).much_is_missing


def test_nothing_is_known_of_nothing() -> None:
    rate = rate_of([])
    assert math.isnan(rate.arriving) and math.isnan(rate.offered) and not rate.much_is_missing


def test_stamps_may_jump_back_repeat_and_overtake_each_other() -> None:
    rates = ImageRate()
    stamps = camera((30.0, 10.0)).tolist()
    stamps[50], stamps[51] = stamps[51], stamps[50]
    for stamp in [*stamps, *stamps[:200], *stamps[150:200]]:  # a bag is played again
        rates.take_image(stamp)
        rates.take_info(stamp)
    rates.take_image(0)
    rate = rates.measure()
    assert rate.arriving == pytest.approx(30.0, rel=0.01) == rate.offered


def test_a_stream_that_ends_has_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ace_ros.nodes.image_rate.time.monotonic", lambda: now[0])
    rates = ImageRate()
    for stamp in camera((30.0, 5.0)).tolist():
        rates.take_image(stamp)
        rates.take_info(stamp)
    assert rates.measure().arriving == pytest.approx(30.0, rel=0.01)
    now[0] += 6.0
    assert math.isnan(rates.measure().arriving)
    rates.take_info(camera((30.0, 10.0)).tolist()[-1])
    assert not rates.measure().much_is_missing
