# SPDX-License-Identifier: Apache-2.0
"""What tests share besides fixtures."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from ace_ros.compute.process import limit_threads
from ace_ros.config import override, training_preset
from ace_ros.data.scene import load_scene
from ace_ros.mapping.map_scene import MappingSetup, map_scene
from ace_ros.mapping.progress import Listener, Progress
from ace_ros.mapping.report import TrainingReport
from ace_ros.maps.global_descriptor import SIZE
from ace_ros.maps.scene_map import SceneMap

ON_CPU = MappingSetup(torch.device("cpu"))

# A map of the small simulated scene in well under a minute on one core.
SMALL = {
    "steps": 3000, "time_budget_s": 600.0, "head_width": 128, "views_per_image": 3,
    "buffer_features": 150_000, "map_points": 2000, "landmarks": 3000, "batch": 1024, "learning_rate": 0.006,
}  # fmt: skip


GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Trained:
    """A scene, and a map that was trained on it."""

    scene: Path
    map_path: Path
    scene_map: SceneMap


@dataclass(frozen=True)
class JustTrained(Trained):
    """The same, and what training said."""

    report: TrainingReport
    progress: list[Progress]


def wait_for(what: str, condition: Callable[[], Any], timeout: float = 30.0) -> Any:
    """Return the first true value of a condition; fail saying what was missing."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout:.0f} s: {what}")


def train_small(scene: Path, map_path: Path) -> JustTrained:
    """Train a small map of a scene folder, and save it."""
    limit_threads()
    progress: list[Progress] = []
    config = override(training_preset("fast"), SMALL)
    scene_map, report = map_scene(load_scene(scene), config, ON_CPU, Listener(progress.append))
    scene_map.save(map_path)
    return JustTrained(scene, map_path, scene_map, report, progress)


def elsewhere(scene_map: SceneMap, seed: int) -> SceneMap:
    """Return a map of a place that looks otherwise: of the same size, with other weights and landmarks."""
    torch.manual_seed(seed)
    (chunk,) = scene_map.chunks
    head = copy.deepcopy(chunk.head)
    head.load_state_dict({k: torch.randn_like(v) / max(v.shape) ** 0.5 for k, v in head.state_dict().items()})
    descriptors = F.normalize(torch.randn(16, SIZE), dim=1).half()
    features = torch.randint(-127, 128, chunk.landmarks.features.shape, dtype=torch.int8)
    other = replace(chunk, head=head, landmarks=replace(chunk.landmarks, features=features))
    return replace(scene_map, chunks=(other,), descriptors=descriptors)
