# SPDX-License-Identifier: Apache-2.0
"""What the writers of a fault campaign write: scenes, maps, pictures, small and made here."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from small_maps import small_map
from wall_scene import write_wall_scene

from ace_ros.data.importers.new_scene import PosedImage
from ace_ros.data.scene import Scene, load_scene
from ace_ros.evaluation.evaluate import Evaluation, evaluate
from ace_ros.geometry.camera import Camera
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.features.buffer import FeatureBuffer
from ace_ros.maps.scene_map import SceneMap
from support import GOLDEN

CPU = torch.device("cpu")
SHAPE = (48, 64)
CAMERA = Camera(torch.tensor([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]], dtype=torch.float64), SHAPE[::-1])


def make_inputs(folder: Path) -> None:
    """Write what the writers read."""
    write_wall_scene(folder / "wall", frames=4, test_frames=2)
    write_wall_scene(folder / "small_wall", frames=8, test_frames=1)
    for seed, name in enumerate("abcd"):
        for version in range(2):
            small_map(2 * seed + version, name).save(folder / f"{name}{version}.safetensors")
    golden()
    evaluated(folder / "wall")  # here, and not in each process that is struck


def picture(number: int) -> np.ndarray:
    ramp = np.linspace(0, 120, SHAPE[1])[None, :, None] + np.linspace(0, 60, SHAPE[0])[:, None, None]
    return np.broadcast_to(ramp + number % 70, (*SHAPE, 3)).astype(np.uint8)


def pose(number: int) -> np.ndarray:
    T = np.eye(4)
    T[0, 3] = 0.25 * number
    return T


@lru_cache(maxsize=1)
def golden() -> SceneMap:
    return SceneMap.load(GOLDEN / "wall.safetensors")


@lru_cache(maxsize=1)
def evaluated(scene_folder: Path) -> tuple[Scene, Relocalizer, Evaluation]:
    scene, relocalizer = load_scene(scene_folder, "test"), Relocalizer(golden(), device="cpu")
    return scene, relocalizer, evaluate(scene, relocalizer)


def features() -> FeatureBuffer:
    return FeatureBuffer.empty(4096, 64, CPU)


def posed(folder: Path) -> list[PosedImage]:
    frames = [(split, frame) for split in ("train", "test") for frame in load_scene(folder, split).frames]
    return [
        PosedImage(f.image_path, f"{split}{f.image_path.stem}", f.T_map_camera.numpy(), f.camera, split, 1)
        for split, f in frames
    ]
