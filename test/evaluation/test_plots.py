# SPDX-License-Identifier: Apache-2.0
"""The pictures: written, readable, and showing what was given."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

plots = pytest.importorskip("ace_ros.evaluation.plots")


def poses(count: int, seed: int = 0) -> np.ndarray:
    """Return poses (F, 4, 4) on a circle of 2 m."""
    angles = np.linspace(0.0, 2.0 * np.pi, count)
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, 0, 3], T[:, 1, 3] = 2.0 * np.cos(angles), 2.0 * np.sin(angles)
    T[:, 2, 3] = np.random.default_rng(seed).normal(0.0, 0.01, count)
    return T


def colour_share(path: Path, colour: str) -> float:
    """Return the share of a picture's pixels that are near a colour "#rrggbb"."""
    picture = cv2.imread(str(path))
    wanted = np.array([int(colour[i : i + 2], 16) for i in (5, 3, 1)])
    return float((np.abs(picture.astype(int) - wanted).max(-1) < 24).mean())


def test_the_trajectory_shows_truth_estimates_misses_and_the_jump(tmp_path: Path) -> None:
    true = poses(60)
    estimated = true.copy()
    estimated[:, 0, 3] += 0.05
    points = np.random.default_rng(1).uniform(-3.0, 3.0, (500, 3))
    whole = plots.plot_trajectory(tmp_path / "whole.png", true, estimated, points)
    assert colour_share(whole, plots.TRUE) > 1e-3
    assert colour_share(whole, plots.ESTIMATED) > 1e-3
    assert colour_share(whole, plots.MISSED) < 1e-5
    estimated[10:30] = np.nan
    jump = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    missed = plots.plot_trajectory(
        tmp_path / "missed.png", true, estimated, points, axes=np.eye(3)[:2], heading=0, jump=jump,
        drive=true[:, :3, 3] * 0.8, footprints=[np.array([[-3.0, -3, 0], [3, -3, 0], [3, 3, 0], [-3, 3, 0]])],
    )  # fmt: skip
    assert colour_share(missed, plots.MISSED) > 1e-4
    assert colour_share(missed, plots.DRIVE) > 1e-4


def test_a_run_without_any_pose_still_has_its_pictures(tmp_path: Path) -> None:
    true, nothing = poses(5), np.full((5, 4, 4), np.nan)
    path = plots.plot_trajectory(tmp_path / "none.png", true, nothing, np.zeros((0, 3)))
    assert colour_share(path, plots.MISSED) > 1e-5
    unknown = np.full(5, np.nan)
    assert plots.plot_errors(tmp_path / "errors.png", unknown, unknown).stat().st_size > 0
    assert plots.plot_map_points(tmp_path / "map.png", np.zeros((0, 3)), np.zeros(0, np.uint8)).exists()


def test_errors_rise_to_the_share_that_was_localized(tmp_path: Path) -> None:
    errors = np.r_[np.linspace(0.001, 0.08, 50), np.full(50, np.nan)]
    half = cv2.imread(str(plots.plot_errors(tmp_path / "half.png", errors, errors * 10)))
    full = cv2.imread(str(plots.plot_errors(tmp_path / "full.png", errors[:50], errors[:50] * 10)))
    dark = [np.abs(p.astype(int) - [101, 73, 27]).max(-1) < 24 for p in (half, full)]
    top = [int(np.flatnonzero(d.any(1))[0]) for d in dark]
    assert top[0] > top[1] + 100  # where half of the images failed, the curve ends half as high


def test_map_points_and_queries_and_training_are_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform([-4, -3, 0], [4, 3, 2.5], (3000, 3))
    path = plots.plot_map_points(tmp_path / "map.png", points, rng.integers(0, 255, 3000).astype(np.uint8))
    assert len(np.unique(cv2.imread(str(path)).reshape(-1, 3), axis=0)) > 500
    images = [np.full((48, 64, 3), 40 * i, np.uint8) for i in range(5)]
    captions = [f"image {i}" for i in range(5)]
    grid = cv2.imread(str(plots.plot_queries(tmp_path / "queries.png", images, captions)))
    assert {(40 * i,) * 3 for i in range(5)} <= {tuple(c) for c in np.unique(grid.reshape(-1, 3), axis=0)}
    time = np.arange(20.0)
    path = plots.plot_training(tmp_path / "t.png", time, np.r_[np.nan, 50.0 / time[1:]], time / 40.0)
    assert colour_share(path, plots.TRUE) > 1e-3


def test_a_refined_drive_is_drawn_against_the_recorded_one(tmp_path: Path) -> None:
    recorded = poses(40)[:, :3]
    refined = recorded.copy()
    refined[20:, 0, 3] += 0.3
    path = plots.plot_refinement(tmp_path / "drive.png", recorded, refined)
    assert colour_share(path, plots.TRUE) > 1e-3
    assert colour_share(path, plots.ESTIMATED) > 1e-3
    assert colour_share(path, plots.DRIVE) > 5e-4
