# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
import torch
from pose_scenes import CAMERAS, pose_scene
from torch import Tensor

from ace_ros.geometry.metrics import normalised_squared_error, pose_error
from ace_ros.geometry.se3 import so3_exp
from ace_ros.pnp.refine_pose import RefinedPoses, refine_pose

LIMITS = (30.0, 12.0, 8.0)


def nearby(T: Tensor, seed: int) -> Tensor:
    """Return a pose about 3 cm and 0.3 deg off."""
    generator = torch.Generator().manual_seed(seed)
    off = T.clone()
    turn = 0.003 * torch.randn(3, generator=generator, dtype=torch.float64)
    off[:3, :3] = so3_exp(turn) @ T[:3, :3]
    off[:3, 3] += 0.02 * torch.randn(3, generator=generator, dtype=torch.float64)
    return off


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_pose_that_is_nearly_right_becomes_right(camera: str) -> None:
    scene = pose_scene(3, 500, inliers=0.8, noise_px=1.0, camera=camera)
    start = nearby(scene.T_map_camera, 3)
    result = refine_pose(scene.pixels[None], scene.points[None], scene.camera, start[None], LIMITS)
    before, _ = pose_error(start, scene.T_map_camera)
    after, angle = pose_error(result.T_map_camera[0], scene.T_map_camera)
    assert float(after) < 0.25 * float(before) and math.degrees(float(angle)) < 0.1
    # A few of the others fall near their pixels by chance.
    assert result.inliers[0][scene.belongs].double().mean() > 0.98
    assert result.inliers[0][~scene.belongs].double().mean() < 0.1


def test_a_batch_is_its_images_one_by_one_and_far_offsets_do_no_harm() -> None:
    scenes = [pose_scene(seed, 300, inliers=0.9, noise_px=1.0) for seed in range(4)]
    offset = torch.tensor([500_000.0, 5_400_000.0, 200.0], dtype=torch.float64)
    starts = torch.stack([nearby(s.T_map_camera, i) for i, s in enumerate(scenes)])
    pixels, points = torch.stack([s.pixels for s in scenes]), torch.stack([s.points for s in scenes])
    camera = scenes[0].camera
    away = starts.clone()
    away[:, :3, 3] += offset
    batch = refine_pose(pixels, points.double() + offset, camera, away, LIMITS)
    for i in range(4):
        single = refine_pose(pixels[i : i + 1], points[i : i + 1], camera, starts[i : i + 1], LIMITS)
        moved = batch.T_map_camera[i, :3, 3] - offset
        torch.testing.assert_close(moved, single.T_map_camera[0, :3, 3], atol=1e-6, rtol=0)
        torch.testing.assert_close(batch.covariance[i], single.covariance[0], atol=0, rtol=1e-3)


def test_the_covariance_is_honest_for_independent_errors() -> None:
    squares = []
    for seed in range(60):
        scene = pose_scene(seed, 300, inliers=1.0, noise_px=1.0)
        found = refine_pose(
            scene.pixels[None], scene.points[None], scene.camera, scene.T_map_camera[None], LIMITS
        )
        squares.append(
            normalised_squared_error(found.T_map_camera, found.covariance, scene.T_map_camera[None])
        )
    assert 3.0 < float(torch.cat(squares).median()) < 8.0  # 5.3 of an exact one


def test_no_usable_correspondence_leaves_no_finite_covariance() -> None:
    scene = pose_scene(1, 100)
    T = scene.T_map_camera[None]
    for weights, start in ((torch.zeros(1, 100), T), (torch.ones(1, 100), torch.full_like(T, torch.nan))):
        result: RefinedPoses = refine_pose(
            scene.pixels[None], scene.points[None], scene.camera, start, LIMITS, weights.double()
        )
        assert not torch.isfinite(result.covariance).any()
        assert not result.inliers.any()


@pytest.mark.parametrize("wrong", ["pixels", "points", "T_map_camera", "weights"])
def test_a_wrong_shape_is_named(wrong: str) -> None:
    scene = pose_scene(1, 50)
    given = {
        "pixels": scene.pixels[None], "points": scene.points[None], "camera": scene.camera,
        "T_map_camera": scene.T_map_camera[None], "weights": torch.ones(1, 50).double(),
    }  # fmt: skip
    given[wrong] = given[wrong][:, :-1]
    with pytest.raises(ValueError, match="points" if wrong == "pixels" else wrong):
        refine_pose(limits_px=LIMITS, **given)
