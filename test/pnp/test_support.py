# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from pose_scenes import CAMERAS, PoseScene, pose_scene

from ace_ros.config import RansacConfig
from ace_ros.pnp.support import pose_support

CONFIG = RansacConfig()


def support(*scenes: PoseScene) -> list[float]:
    pixels, points = (torch.stack([getattr(s, name) for s in scenes]) for name in ("pixels", "points"))
    return pose_support(pixels, points, scenes[0].camera, CONFIG).tolist()


@pytest.mark.parametrize("camera", ["pinhole", "plumb_bob"])
def test_the_share_of_right_points_is_found_roughly(camera: str) -> None:
    for share in (0.25, 0.5, 1.0):
        scene = pose_scene(3, count=500, inliers=share, noise_px=1.0, camera=camera)
        assert 0.6 * share < support(scene)[0] <= 1.05 * share + 0.02


def test_sets_that_agree_are_told_from_sets_that_do_not() -> None:
    for seed in range(10):
        right = pose_scene(seed, count=500, inliers=0.2, noise_px=2.0)
        wrong = [pose_scene(seed + 100 + n, count=500, inliers=0.0) for n in range(3)]
        values = support(*wrong[:2], right, wrong[2])
        assert max(range(4), key=values.__getitem__) == 2
        assert min(values) < 0.5 * values[2]


def test_a_batch_equals_its_single_runs() -> None:
    scenes = [pose_scene(seed, count=300, inliers=0.5, noise_px=1.0) for seed in range(4)]
    assert support(*scenes) == pytest.approx([support(s)[0] for s in scenes], rel=1e-4)


def test_points_that_are_no_numbers_support_nothing() -> None:
    pixels = torch.rand(1, 300, 2) * 400
    nothing = pose_support(pixels, torch.full((1, 300, 3), torch.nan), CAMERAS["pinhole"], CONFIG)
    assert nothing.tolist() == [0.0]
