# SPDX-License-Identifier: Apache-2.0
"""Points of a LiDAR as sparse depth images of a camera; nothing here needs ROS."""

from __future__ import annotations

import math

import numpy as np
import torch

from ace_ros.data.depth_image import millimetres
from ace_ros.geometry.camera import MAX_RAY_ANGLE, Camera

MAX_FOLD = 0.01  # on the plane z = 1; a distortion that brings back more than that has folded over


def depth_of_points(points: np.ndarray, T_camera_points: np.ndarray, camera: Camera) -> np.ndarray:
    """Return the depth image (H, W) uint16, of the camera's size, of points (N, 3) in metres.

    `T_camera_points` (4, 4) takes the points into the optical frame. Of two in a pixel the nearer one
    counts; points elsewhere may still be such as the camera does not see, behind something.
    """
    in_camera = points @ T_camera_points[:3, :3].T + T_camera_points[:3, 3]
    radius = np.hypot(in_camera[:, 0], in_camera[:, 1])
    in_camera = in_camera[(in_camera[:, 2] > 0) & (radius < math.tan(MAX_RAY_ANGLE) * in_camera[:, 2])]
    pixels = camera.project(torch.from_numpy(in_camera))
    width, height = camera.size
    x, y = pixels.round().unbind(-1)
    seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    pixels, in_camera = pixels[seen], in_camera[seen.numpy()]
    # Polynomials of distortion turn back far outside the image and may bring points into it.
    rays = in_camera[:, :2] / in_camera[:, 2:]
    off = np.abs(camera.unproject(pixels).numpy() - rays).max(1, initial=0.0)
    pixels, z = pixels[torch.from_numpy(off < MAX_FOLD)], in_camera[off < MAX_FOLD, 2]
    far_first = np.argsort(-z)
    column, row = pixels.round().long().numpy()[far_first].T
    depth_mm = np.zeros((height, width), np.uint16)
    depth_mm[row, column] = millimetres(z[far_first], 1000.0)
    return depth_mm
