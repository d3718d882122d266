# SPDX-License-Identifier: Apache-2.0
"""Localize the test images of a scene and compare with their true poses."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ace_ros.data.scene import Scene, read_grey
from ace_ros.files.whole import new_folder, write_atomically
from ace_ros.geometry.metrics import median_of_localized, pose_error, recall
from ace_ros.localization.relocalizer import Relocalizer


@dataclass(frozen=True)
class Evaluation:
    """Every test frame's result. Frames without a pose have NaN poses and errors.

    T_map_camera (F, 4, 4) float64; translation_m, rotation_rad, latency_ms (F,); inliers (F,).
    """

    T_map_camera: Tensor
    translation_m: Tensor
    rotation_rad: Tensor
    inliers: Tensor
    latency_ms: Tensor
    device: str

    def summary(self) -> dict[str, Any]:
        """Return the figures that `ace_ros eval --json` prints, but for those of the map file."""
        localized = torch.isfinite(self.translation_m)
        median_rad = median_of_localized(self.rotation_rad)
        return {
            "frames": len(localized),
            "localized": int(localized.sum()),
            "median_translation_m": median_of_localized(self.translation_m),
            "median_rotation_deg": math.degrees(median_rad),
            "recall": recall(self.translation_m, self.rotation_rad),
            "latency_ms": latency_figures(self.latency_ms),
            "device": self.device,
        }


def latency_figures(latency_ms: Tensor) -> dict[str, float]:
    """Return median and 99th percentile of latencies (F,)."""
    values = latency_ms.numpy()
    return {"median": float(np.median(values)), "p99": float(np.percentile(values, 99))}


def evaluate(
    scene: Scene, relocalizer: Relocalizer, on_frame: Callable[[int, int], None] = lambda done, total: None
) -> Evaluation:
    """Localize every frame of a scene. The first image is tried twice, so that warm-up is not timed."""
    poses, inliers, latency = [], [], []
    first = scene.frames[0]
    relocalizer.localize(read_grey(first.image_path), first.camera)
    for index, frame in enumerate(scene.frames):
        image = read_grey(frame.image_path)
        began = time.perf_counter()
        found = relocalizer.localize(image, frame.camera)
        poses.append(found.T_map_camera[0].cpu())  # waits for the device
        latency.append(1000.0 * (time.perf_counter() - began))
        inliers.append(int(found.inliers[0].sum()))
        on_frame(index + 1, len(scene.frames))
    T = torch.stack(poses)
    translation, rotation = pose_error(T, torch.stack([f.T_map_camera for f in scene.frames]))
    return Evaluation(
        T,
        translation,
        rotation,
        torch.tensor(inliers),
        torch.tensor(latency, dtype=torch.float64),
        str(relocalizer.device),
    )


def write_report(folder: Path, evaluation: Evaluation, scene: Scene, relocalizer: Relocalizer) -> list[Path]:
    """Write pictures and a table of all frames into a folder, all or none; return the files' paths.

    Raises OSError when the folder cannot be written.
    """
    with new_folder(folder) as made:
        written = _write_report(made, evaluation, scene, relocalizer)
    return [folder / path.name for path in written]


def _write_report(folder: Path, evaluation: Evaluation, scene: Scene, relocalizer: Relocalizer) -> list[Path]:
    from ace_ros.evaluation import plots

    table = folder / "frames.csv"
    lines = ["image,translation_m,rotation_deg,inliers,latency_ms"]
    rows = zip(
        scene.frames,
        evaluation.translation_m.tolist(),
        evaluation.rotation_rad.tolist(),
        evaluation.inliers.tolist(),
        evaluation.latency_ms.tolist(),
        strict=True,
    )
    for frame, metres, radians, count, ms in rows:
        lines.append(f"{frame.image_path.name},{metres:.5f},{math.degrees(radians):.4f},{count},{ms:.1f}")
    write_atomically(table, "\n".join([*lines, ""]).encode())
    true = torch.stack([f.T_map_camera for f in scene.frames])
    points, grey = relocalizer.scene_map.cloud()
    drive = relocalizer.scene_map.drive
    pictures = [] if drive is None else [plots.plot_refinement(folder / "mapping_drive.png", *drive.numpy())]
    return [
        table,
        *pictures,
        plots.plot_trajectory(
            folder / "trajectory.png", true.numpy(), evaluation.T_map_camera.numpy(), points
        ),
        plots.plot_errors(
            folder / "errors.png",
            evaluation.translation_m.numpy(),
            np.degrees(evaluation.rotation_rad.numpy()),
        ),
        plots.plot_map_points(folder / "map_points.png", points, grey),
    ]
