# SPDX-License-Identifier: Apache-2.0
"""The demo's figures: errors, alignment, bars, exit codes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ace_ros.evaluation import demo_report
from ace_ros.evaluation.demo_report import DemoRun
from ace_ros.simulation.drive import T_of, second_tour


def true_poses(count: int = 40) -> np.ndarray:
    """Return base poses (F, 4, 4) along the second drive."""
    tour = second_tour()
    times = np.linspace(0.0, tour.duration_s, count)
    return np.array([T_of(tour.pose(t)) for t in times]).reshape(-1, 4, 4)


def a_run(estimated: np.ndarray, **changes: Any) -> DemoRun:
    """Return a run with the given estimates of the second drive."""
    count = len(estimated)
    rng = np.random.default_rng(0)
    values: dict[str, Any] = {
        "T_map_true": true_poses(count),
        "T_map_estimated": estimated,
        "latency_ms": np.linspace(50.0, 90.0, count),
        "T_world_map": np.eye(4),
        "drive": true_poses()[:, :3, 3],
        "points": rng.uniform(-3, 3, (300, 3)),
        "grey": rng.integers(0, 255, 300).astype(np.uint8),
        "outlines": [np.array([[-4.0, -3, 0], [4, -3, 0], [4, 3, 0], [-4, 3, 0]])],
        "training": np.array([[1.0, 50.0, 0.1], [2.0, 5.0, 0.6]]),
        "images": [np.full((24, 32, 3), 100, np.uint8)],
        "captions": ["1.0 cm"],
    }
    return DemoRun(**{**values, **changes})


def report_of(run: DemoRun) -> dict[str, Any]:
    """Return the report that the demo would write."""
    about = {"keyframes": 200, "map_bytes": 1_100_000, "train_s": 150.0}
    about |= {"ros": "kilted, rmw_fastrtps_cpp", "device": "cpu"}
    return {**about, **demo_report.summary(run)}


def test_exact_poses_have_no_error_and_pass() -> None:
    report = report_of(a_run(true_poses()))
    assert (report["queries"], report["localized"]) == (40, 40)
    assert report["median_translation_m"] == pytest.approx(0.0, abs=1e-9)
    assert set(report["recall"].values()) == {1.0}
    assert demo_report.missed_bars(report) == []
    assert "40 of 40" in demo_report.describe(report)


def test_errors_are_the_distance_and_the_angle() -> None:
    moved = true_poses(3)
    moved[:, 0, 3] += 0.03
    turned = T_of((0.0, 0.0, math.radians(1.5)))
    moved[:, :3, :3] = moved[:, :3, :3] @ turned[:3, :3]
    metres, degrees = demo_report.errors_of(true_poses(3), moved)
    np.testing.assert_allclose(metres, 0.03, atol=1e-12)
    np.testing.assert_allclose(degrees, 1.5, atol=1e-9)


def test_a_turned_and_shifted_map_is_found_by_the_alignment_and_still_counts_as_an_error() -> None:
    T = T_of((0.2, -0.1, math.radians(4.0)))
    run = a_run(T @ true_poses())
    found = demo_report.alignment(run.T_map_true, run.T_map_estimated)
    np.testing.assert_allclose(found @ T, np.eye(4), atol=1e-9)
    report = report_of(run)
    assert report["after_alignment"]["median_translation_m"] == pytest.approx(0.0, abs=1e-9)
    assert report["median_rotation_deg"] == pytest.approx(4.0, abs=1e-6)
    assert len(demo_report.missed_bars(report)) == 2


def test_images_without_a_pose_count_against_recall_and_bars() -> None:
    estimated = true_poses()
    estimated[::4] = np.nan
    report = report_of(a_run(estimated))
    assert report["localized"] == 30
    assert report["recall"]["10cm_5deg"] == pytest.approx(0.75)
    assert [m for m in demo_report.missed_bars(report) if "30 of 40" in m]


def test_a_run_without_any_query_or_pose_is_a_failure_and_strict_json(tmp_path: Path) -> None:
    for estimated in (np.full((5, 4, 4), np.nan), np.zeros((0, 4, 4))):
        run = a_run(estimated, latency_ms=np.zeros(0))
        report = report_of(run)
        assert len(demo_report.missed_bars(report)) == 3
        assert json.loads(demo_report.write_report(tmp_path, report).read_text()) == report
        assert demo_report.describe(report).startswith("0 of")


def test_all_pictures_are_written(tmp_path: Path) -> None:
    estimated = true_poses()
    estimated[3] = np.nan
    written = demo_report.write_pictures(tmp_path, a_run(estimated))
    assert {path.stem for path in written} == set(demo_report.PICTURES)
    assert all(path.stat().st_size > 2000 for path in written)


def test_the_exit_code_says_whether_the_bars_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, far = true_poses(), true_poses()
    far[:, 0, 3] += 0.5
    assert demo_report.main([str(demo_report.write_report(tmp_path, report_of(a_run(good))))]) == 0
    assert demo_report.main([str(demo_report.write_report(tmp_path, report_of(a_run(far))))]) == 1
    assert "median position error" in capsys.readouterr().err
    assert demo_report.main([str(tmp_path / "missing.json")]) == 2
    (tmp_path / "report.json").write_text("[]")
    assert demo_report.main([str(tmp_path / "report.json")]) == 2
