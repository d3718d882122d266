# SPDX-License-Identifier: Apache-2.0
"""The figures and pictures of a demo run, and the bars that it must pass.

python -m ace_ros.evaluation.demo_report out/demo/report.json     # exit code 0 only where all bars hold
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ace_ros.evaluation.evaluate import latency_figures
from ace_ros.files.whole import write_atomically
from ace_ros.geometry.metrics import median_of_localized, pose_error, recall

MIN_LOCALIZED = 0.9
MAX_MEDIAN_M = 0.10
MAX_MEDIAN_DEG = 2.0
REPORT, PICTURES = "report.json", ("trajectory", "errors", "map_points", "queries", "mapping")


@dataclass(frozen=True)
class DemoRun:
    """What was seen during a demo. Poses are of the robot's base; the map frame is the one of the drive.

    T_map_true and T_map_estimated (F, 4, 4) belong to the queries; an image without a pose is NaN.
    `T_world_map` shows everything in the room. `drive` (D, 3) are the true positions while mapping.
    """

    T_map_true: np.ndarray
    T_map_estimated: np.ndarray
    latency_ms: np.ndarray
    T_world_map: np.ndarray
    drive: np.ndarray
    points: np.ndarray  # (P, 3) in the map frame
    grey: np.ndarray  # (P,) uint8
    outlines: list[np.ndarray]  # (K, 3) in the room
    training: np.ndarray  # (T, 3): seconds, median error in px, share of inliers
    images: list[np.ndarray] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)


def errors_of(true: np.ndarray, estimated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return position errors (F,) in metres and rotation errors (F,) in degrees, NaN without a pose."""
    distance, angle = pose_error(torch.from_numpy(true), torch.from_numpy(estimated))
    angle = torch.where(torch.isfinite(distance), angle, torch.nan)
    return distance.numpy(), np.degrees(angle.numpy())


def alignment(true: np.ndarray, estimated: np.ndarray) -> np.ndarray:
    """Return the rigid T (4, 4) that brings estimated positions (F, 4, 4) nearest to the true ones.

    The identity where fewer than three poses are known.
    """
    known = np.isfinite(estimated).all((1, 2))
    T = np.eye(4)
    if known.sum() < 3:
        return T
    a, b = estimated[known, :3, 3], true[known, :3, 3]
    U, _, Vt = np.linalg.svd((b - b.mean(0)).T @ (a - a.mean(0)))
    T[:3, :3] = U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt
    T[:3, 3] = b.mean(0) - T[:3, :3] @ a.mean(0)
    return T


def summary(run: DemoRun) -> dict[str, Any]:
    """Return the figures of a run's queries, as found and after a rigid alignment of the map frame."""
    found = accuracy(run.T_map_true, run.T_map_estimated)
    aligned = alignment(run.T_map_true, run.T_map_estimated) @ run.T_map_estimated
    return {
        "queries": len(run.T_map_true),
        "localized": int(np.isfinite(run.T_map_estimated).all((1, 2)).sum()),
        **found,
        "latency_ms": latency_figures(torch.from_numpy(run.latency_ms)) if len(run.latency_ms) else None,
        # What remains when the drift of the recorded poses, which bends and turns the map, is left
        # out as far as one rigid motion can.
        "after_alignment": accuracy(run.T_map_true, aligned),
    }


def accuracy(true: np.ndarray, estimated: np.ndarray) -> dict[str, Any]:
    """Return medians over the localized and recall over all poses (F, 4, 4)."""
    metres, degrees = (torch.from_numpy(e) for e in errors_of(true, estimated))
    return {
        "median_translation_m": _number(median_of_localized(metres)),
        "median_rotation_deg": _number(median_of_localized(degrees)),
        "recall": recall(metres, degrees.deg2rad()) if len(metres) else {},
    }


def missed_bars(report: dict[str, Any]) -> list[str]:
    """Return a sentence for every bar that a report does not pass."""
    missed = []
    queries, localized = report["queries"], report["localized"]
    if not queries or localized < MIN_LOCALIZED * queries:
        missed.append(f"{localized} of {queries} images localized, at least {MIN_LOCALIZED:.0%} are expected")
    metres, degrees = report["median_translation_m"], report["median_rotation_deg"]
    if metres is None or not metres < MAX_MEDIAN_M:
        missed.append(f"median position error is {metres} m, below {MAX_MEDIAN_M} m is expected")
    if degrees is None or not degrees < MAX_MEDIAN_DEG:
        missed.append(f"median rotation error is {degrees} deg, below {MAX_MEDIAN_DEG} deg is expected")
    return missed


def describe(report: dict[str, Any]) -> str:
    """Return the figures of a report in a few lines for a person."""
    if report["median_translation_m"] is None:
        return f"0 of {report['queries']} images localized"
    aligned, share = report["after_alignment"], report["recall"]
    return "\n".join(
        [
            f"{report['localized']} of {report['queries']} images localized after the robot was carried away",
            f"median error  {100 * report['median_translation_m']:.1f} cm, "
            f"{report['median_rotation_deg']:.2f} deg   (without the drift of the mapping drive: "
            f"{100 * aligned['median_translation_m']:.1f} cm, {aligned['median_rotation_deg']:.2f} deg)",
            f"recall        {100 * share['10cm_5deg']:.0f} % within 10 cm, 5 deg;  "
            f"{100 * share['5cm_5deg']:.0f} % within 5 cm, 5 deg",
            f"map           {report['map_bytes'] / 1e6:.1f} MB from {report['keyframes']} keyframes, "
            f"trained in {report['train_s']:.0f} s",
            f"latency       {report['latency_ms']['median']:.0f} ms from image to pose on "
            f"{report['device']}, ROS: {report['ros']}",
        ]
    )


def write_pictures(folder: Path, run: DemoRun) -> list[Path]:
    """Draw a run into a folder; return the paths."""
    from ace_ros.evaluation import plots

    shown = {name: folder / f"{name}.png" for name in PICTURES}
    true, estimated = run.T_world_map @ run.T_map_true, run.T_world_map @ run.T_map_estimated
    points = run.points @ run.T_world_map[:3, :3].T + run.T_world_map[:3, 3]
    metres, degrees = errors_of(run.T_map_true, run.T_map_estimated)
    jump = np.stack([run.drive[-1], true[0, :3, 3]]) if len(run.drive) and len(true) else None
    title = "Not found after being carried away"
    if np.isfinite(metres).any():
        title = f"Found again after being carried away, median error {100 * np.nanmedian(metres):.1f} cm"
    written = [
        plots.plot_trajectory(
            shown["trajectory"], true, estimated, points, axes=np.eye(3)[:2], heading=0, drive=run.drive,
            jump=jump, footprints=run.outlines, title=title,
        ),
        plots.plot_errors(shown["errors"], metres, degrees),
        plots.plot_map_points(shown["map_points"], points, run.grey, np.array([0.0, 0.0, 1.0])),
    ]  # fmt: skip
    if run.images:
        written.append(plots.plot_queries(shown["queries"], run.images, run.captions))
    if len(run.training) > 1:
        written.append(plots.plot_training(shown["mapping"], *run.training.T))
    return written


def write_report(folder: Path, report: dict[str, Any]) -> Path:
    """Write a report as strict JSON; return its path."""
    path = folder / REPORT
    write_atomically(path, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
    return path


def main(arguments: list[str] | None = None) -> int:
    """Check the report named on the command line; return 0 only where all bars hold."""
    words = sys.argv[1:] if arguments is None else arguments
    path = Path(words[0]) if len(words) == 1 else Path()
    try:
        report = json.loads(path.read_text())
        missed = missed_bars(report)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{path}: no report of a finished demo: {error}", file=sys.stderr)
        return 2
    for sentence in missed:
        print(f"demo: {sentence}", file=sys.stderr)
    if not missed:
        print(f"demo passed; report and pictures are in {path.parent}")
    return 1 if missed else 0


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


if __name__ == "__main__":
    sys.exit(main())
