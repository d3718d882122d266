# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import torch

from ace_ros.data.point_cloud import depth_of_points
from ace_ros.geometry.camera import Camera

CAMERA = Camera(torch.tensor([[100.0, 0, 79.5], [0, 110.0, 59.5], [0, 0, 1]]), (160, 120))


def test_points_fall_into_the_pixels_that_see_them() -> None:
    T = np.eye(4)
    T[:3, 3] = 0.0, 0.0, 1.0
    at = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 3.0], [1.0, 0.5, 3.0], [-0.1, 0.0, -2.0], [9.0, 0.0, 1.0]])
    depth_mm = depth_of_points(at, T, CAMERA)
    assert depth_mm.shape == (120, 160)
    assert {(int(y), int(x)): int(depth_mm[y, x]) for y, x in np.argwhere(depth_mm)} == {
        (60, 80): 2000,  # the nearer of two; half a pixel rounds to the even one
        (73, 104): 4000,
    }
    assert not depth_of_points(np.zeros((0, 3)), T, CAMERA).any()
    assert not depth_of_points(np.array([[0.0, 0.0, 70.0]]), T, CAMERA).any()  # more than 16 bits hold


def test_points_outside_do_not_come_back_by_the_distortion() -> None:
    """With a barrel distortion the polynomial turns back at some angle, and then leads into the image."""
    distorted = Camera(CAMERA.matrix, CAMERA.size, "plumb_bob", torch.tensor([-0.3, 0.0, 0.0, 0.0]))
    angles = np.radians(np.linspace(-75.0, 75.0, 301))
    points = 3.0 * np.stack([np.tan(angles), 0 * angles, 1 + 0 * angles], -1)
    behind = distorted.project(torch.from_numpy(points))[:, 0]
    assert bool(((behind > 0) & (behind < 159) & (torch.from_numpy(angles).abs() > 1.1)).any())
    found = set(np.flatnonzero(depth_of_points(points, np.eye(4), distorted)[60]).tolist())
    columns = distorted.project(torch.from_numpy(points))[:, 0].round().long().tolist()
    surely, at_most = (
        {c for c, angle in zip(columns, angles, strict=True) if abs(angle) < limit} for limit in (0.75, 0.82)
    )
    assert surely <= found <= at_most
    assert max(found) > 145 and min(found) < 15
