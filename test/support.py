# SPDX-License-Identifier: Apache-2.0
"""What tests share besides fixtures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ace_ros.scene_map import SceneMap
from ace_ros.training.progress import Progress
from ace_ros.training.trainer import TrainingReport

# A map of the small simulated scene in well under a minute on one core.
SMALL = {
    "steps": 3000, "time_budget_s": 600.0, "head_width": 128, "views_per_image": 3,
    "buffer_features": 150_000, "map_points": 2000, "batch": 1024, "learning_rate": 0.006,
}  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """A scene, the map trained on it, and what training said."""

    scene: Path
    map_path: Path
    scene_map: SceneMap
    report: TrainingReport
    progress: list[Progress]
