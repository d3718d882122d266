# SPDX-License-Identifier: Apache-2.0
"""Correspondences with a known pose, drawn on the CPU in float64."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import so3_exp, transform

SIZE = (640, 480)
CAMERAS = {
    "pinhole": Camera(torch.tensor([[525.0, 0.0, 320.0], [0.0, 515.0, 235.0], [0.0, 0.0, 1.0]]), SIZE),
    "skewed": Camera(torch.tensor([[525.0, 3.0, 320.0], [0.0, 515.0, 235.0], [0.0, 0.0, 1.0]]), SIZE),
    "plumb_bob": Camera(
        torch.tensor([[420.0, 0.0, 330.0], [0.0, 425.0, 238.0], [0.0, 0.0, 1.0]]),
        SIZE,
        "plumb_bob",
        torch.tensor([-0.28, 0.07, 5e-4, -3e-4, 0.0]),
    ),
    "rational_polynomial": Camera(
        torch.tensor([[420.0, 0.0, 330.0], [0.0, 425.0, 238.0], [0.0, 0.0, 1.0]]),
        SIZE,
        "rational_polynomial",
        torch.tensor([0.5, 0.1, 2e-4, -1e-4, 0.01, 0.8, 0.15, 0.02]),
    ),
    "equidistant": Camera(
        torch.tensor([[280.0, 0.0, 322.0], [0.0, 281.0, 241.0], [0.0, 0.0, 1.0]]),
        SIZE,
        "equidistant",
        torch.tensor([0.02, -0.01, 0.003, -0.001]),
    ),
}


class PoseScene(NamedTuple):
    """Pixels (N, 2) of points (N, 3), the true pose (4, 4) and which points belong to it (N,)."""

    pixels: Tensor
    points: Tensor
    camera: Camera
    T_map_camera: Tensor
    belongs: Tensor


def random_pose(generator: torch.Generator, reach_m: float = 2.5) -> Tensor:
    """Return T_map_camera (4, 4), turned anyhow, within a cube around the map's origin."""
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = so3_exp(2.0 * torch.randn(3, generator=generator, dtype=torch.float64))
    T[:3, 3] = reach_m * (2 * torch.rand(3, generator=generator, dtype=torch.float64) - 1)
    return T


def pose_scene(
    seed: int,
    count: int = 1000,
    inliers: float = 1.0,
    noise_px: float = 0.0,
    second_pose: float = 0.0,
    camera: str = "pinhole",
) -> PoseScene:
    """Return points 1 to 5 m before a camera in a random place, seen with Gaussian noise.

    The rest of the points are outliers: a share `second_pose` of all points agrees on another
    pose, all others lie anywhere.
    """
    g = torch.Generator().manual_seed(seed)
    T, T_other = random_pose(g), random_pose(g)
    pixels = torch.rand(count, 2, generator=g, dtype=torch.float64) * torch.tensor(SIZE)
    rays = CAMERAS[camera].unproject(pixels)
    depth = 1 + 4 * torch.rand(count, 1, generator=g, dtype=torch.float64)
    in_camera = depth * torch.cat([rays, torch.ones_like(depth)], 1)
    anywhere = T[:3, 3] + 5 * (2 * torch.rand(count, 3, generator=g, dtype=torch.float64) - 1)
    lot = torch.rand(count, generator=g)[:, None]
    points = torch.where(lot < inliers + second_pose, transform(T_other, in_camera), anywhere)
    points = torch.where(lot < inliers, transform(T, in_camera), points)
    pixels = pixels + noise_px * torch.randn(count, 2, generator=g, dtype=torch.float64)
    return PoseScene(pixels, points, CAMERAS[camera], T, lot[:, 0] < inliers)
