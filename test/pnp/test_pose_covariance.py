# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from pose_scenes import pose_scene
from torch import Tensor

from ace_ros.config import RansacConfig
from ace_ros.geometry.se3 import rotation_angle
from ace_ros.pnp import solve_pose

# NEES of six numbers: 6 on average if the covariance is honest; its 95 % limit is 12.6.
DEGREES_OF_FREEDOM, LIMIT_95 = 6.0, 12.6


def rotation_vector(R: Tensor) -> Tensor:
    """Return the rotation vector (3,) of a small rotation (3, 3)."""
    axis = torch.stack([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    return axis / axis.norm() * rotation_angle(R)


def smooth_errors(pixels: Tensor, seed: int, reach_px: float, size_px: float) -> Tensor:
    """Return errors (N, 2) of pixels (N, 2) that are much alike within a reach in the image."""
    g = torch.Generator().manual_seed(seed)
    width = int(reach_px / 8) | 1
    field = torch.randn(1, 2, 120 + width, 160 + width, generator=g, dtype=torch.float64)
    field = torch.nn.functional.avg_pool2d(field, width, 1)
    at = (pixels / torch.tensor([320.0, 240.0]) - 1)[None, None].clamp(-1, 1)
    found = torch.nn.functional.grid_sample(field, at, align_corners=True)[0, :, 0].T
    return found * size_px * width


def nees(runs: int, inliers: float, independent_px: float, smooth_px: float, reach_px: float) -> Tensor:
    """Return normalised squared errors (runs,) of position and rotation about the map's axes."""
    values = []
    for seed in range(runs):
        scene = pose_scene(seed, 2400, inliers=inliers, noise_px=independent_px)
        pixels = scene.pixels + smooth_errors(scene.pixels, seed, reach_px, smooth_px)
        found = solve_pose(pixels[None], scene.points[None], scene.camera, RansacConfig())
        assert found.ok.all()
        T, true = found.T_map_camera[0], scene.T_map_camera
        off = torch.cat([T[:3, 3] - true[:3, 3], rotation_vector(T[:3, :3] @ true[:3, :3].T)])
        values.append(off @ torch.linalg.solve(found.covariance[0], off))
    return torch.stack(values)


@pytest.mark.parametrize("inliers", [0.9, 0.3])
def test_covariance_is_honest_for_independent_errors(inliers: float) -> None:
    values = nees(40, inliers, 2.0, 0.0, 88.0)
    assert 0.6 * DEGREES_OF_FREEDOM < values.mean() < 1.4 * DEGREES_OF_FREEDOM
    assert (values < LIMIT_95).double().mean() > 0.85


@pytest.mark.parametrize("reach_px", [40.0, 88.0])
def test_covariance_is_honest_though_neighbours_err_together(reach_px: float) -> None:
    values = nees(40, 0.9, 0.5, 2.0, reach_px)
    assert 0.5 * DEGREES_OF_FREEDOM < values.mean() < 2.0 * DEGREES_OF_FREEDOM
    assert (values < LIMIT_95).double().mean() > 0.75


def test_covariance_is_symmetric_positive_and_larger_for_fewer_points() -> None:
    sizes = []
    for count in (300, 4800):
        scene = pose_scene(3, count, noise_px=2.0)
        found = solve_pose(scene.pixels[None], scene.points[None], scene.camera, RansacConfig())
        covariance = found.covariance[0]
        assert torch.equal(covariance, covariance.T)
        assert (torch.linalg.eigvalsh(covariance) > 0).all()
        sizes.append(covariance.diagonal().sqrt())
    assert (sizes[0] > 1.5 * sizes[1]).all()
