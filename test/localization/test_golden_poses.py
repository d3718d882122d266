# SPDX-License-Identifier: Apache-2.0
"""The golden map answers as it did when it was made: nobody changes localization without knowing it."""

from __future__ import annotations

import json
import math

import torch

from ace_ros.data.scene import load_scene, read_grey
from ace_ros.geometry.metrics import pose_error
from ace_ros.localization.relocalizer import Relocalizer
from support import GOLDEN, Trained


def test_the_golden_map_is_small() -> None:
    assert (GOLDEN / "wall.safetensors").stat().st_size < 1_000_000


def test_the_golden_map_gives_the_golden_poses_and_they_are_true(trained: Trained) -> None:
    golden = json.loads((GOLDEN / "poses.json").read_text())
    relocalizer = Relocalizer(trained.scene_map, device="cpu")
    frames = load_scene(trained.scene, "test").frames
    assert sorted(golden) == [frame.image_path.name for frame in frames]
    for frame in frames:
        found = relocalizer.localize(read_grey(frame.image_path), frame.camera)
        assert bool(found.ok[0]), frame.image_path.name
        expected = torch.tensor(golden[frame.image_path.name], dtype=torch.float64)
        for other, limit_m, limit_deg in ((expected, 0.003, 0.06), (frame.T_map_camera, 0.02, 0.4)):
            metres, radians = pose_error(found.T_map_camera[0], other)
            assert float(metres) < limit_m and math.degrees(float(radians)) < limit_deg
