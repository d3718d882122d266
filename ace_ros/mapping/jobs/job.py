# SPDX-License-Identifier: Apache-2.0
"""The training of one chunk as plain values, so that any process or machine can do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ace_ros.config import TrainingConfig
from ace_ros.data.scene import load_scene
from ace_ros.mapping.map_scene import MappingSetup, map_scene
from ace_ros.mapping.poses.refinement import RefinedPoses
from ace_ros.mapping.progress import Listener, Progress

OnProgress = Callable[[int, Progress], None]  # of the chunk with this number


@dataclass(frozen=True)
class ChunkJob:
    """What a worker has to know: plain values, so that it may run in another process or machine.

    `frames` are indices into the mapping images of the scene in `folder`; `output` is the map file
    to write. `refined` are their poses where the recorded ones are not to be used.
    """

    number: int
    folder: Path
    frames: tuple[int, ...]
    config: TrainingConfig
    map_frame: str
    output: Path
    refined: RefinedPoses | None = None


def train_chunk(job: ChunkJob, device: torch.device, on_progress: Callable[[Progress], None]) -> None:
    """Train one chunk and write its map. Raises AceError, and OSError when the disk is full."""
    scene = load_scene(job.folder)
    frames = tuple(scene.frames[i] for i in job.frames)
    scene = replace(scene, frames=job.refined.apply(frames) if job.refined else frames)
    with_depth = any(frame.depth_path for frame in scene.frames)
    config = replace(job.config, use_depth=job.config.use_depth and with_depth)
    scene_map, _ = map_scene(scene, config, MappingSetup(device, job.map_frame), Listener(on_progress))
    scene_map.save(job.output)
