# SPDX-License-Identifier: Apache-2.0
"""A wall whose features are known everywhere, and landmarks on it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import so3_exp
from ace_ros.landmarks.landmarks import Landmarks, quantised, unit_cells

STRIDE, SIZE = 8, (320, 240)
CAMERA = Camera(torch.tensor([[300.0, 0.0, 159.5], [0.0, 310.0, 119.5], [0.0, 0.0, 1.0]]), SIZE)
DEPTH_M = 4.0  # of a wall that everything is painted on


def paint(points: Tensor) -> Tensor:
    """Return features (n, 64) of points (n, 2) on the wall: smooth, and different everywhere."""
    frequencies = torch.randn(2, 64, generator=torch.Generator().manual_seed(0)) * 4.0
    phases = torch.rand(64, generator=torch.Generator().manual_seed(1)) * 2 * math.pi
    return torch.cos(points.float() @ frequencies + phases)


def pose(x: float = 0.0, y: float = 0.0, turn_deg: float = 0.0) -> Tensor:
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = so3_exp(torch.tensor([0.0, math.radians(turn_deg), 0.0], dtype=torch.float64))
    T[:2, 3] = torch.tensor([x, y])
    return T


def cells_of(T: Tensor) -> Tensor:
    """Return the cells (1, h, w, 64) of what a camera sees of the wall."""
    w, h = SIZE[0] // STRIDE, SIZE[1] // STRIDE
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    pixels = torch.stack([x, y], -1).reshape(-1, 2) * 8.0 + 3.5
    rays = F.pad(CAMERA.unproject(pixels.double()), (0, 1), value=1.0) @ T[:3, :3].T
    points = T[:3, 3] + rays * ((DEPTH_M - T[2, 3]) / rays[:, 2:])
    return unit_cells(paint(points[:, :2]).T.reshape(1, 64, h, w))


def landmarks(seen_from: Tensor, count: int = 400) -> Landmarks:
    generator = torch.Generator().manual_seed(2)
    xy = (torch.rand(count, 2, generator=generator) - 0.5) * torch.tensor([4.5, 3.2])
    points = F.pad(xy, (0, 1), value=DEPTH_M)
    return Landmarks(points, seen_from[:3, 3].float().expand(count, 3), quantised(paint(xy)))
