# SPDX-License-Identifier: Apache-2.0
"""Covariance of a pose from the normal matrix of its inliers."""

from __future__ import annotations

import torch
from torch import Tensor

from ace_ros.geometry.se3 import inverse, skew, transform

# Neighbouring cells see mostly the same pixels (receptive field 88 px, stride 8), so their errors
# are no independent measurements: an image holds this many times fewer of them than cells.
CORRELATED_CELLS = 60.0


def pose_covariance(T_map_camera: Tensor, pixels: Tensor, points: Tensor, K: Tensor) -> Tensor:
    """Return the covariance (6, 6) of (x, y, z, rotation x, y, z) about the map's axes, in m and rad.

    `pixels` (N, 2) of a pinhole camera K (3, 3) and `points` (N, 3) are the inliers of the pose.
    The noise is estimated from their residuals; NaN when the geometry leaves the pose open.
    """
    R = T_map_camera[:3, :3]
    in_camera = transform(inverse(T_map_camera), points)  # (N, 3)
    x, y, z = in_camera.unbind(-1)
    homogeneous = in_camera @ K.T
    residual = homogeneous[:, :2] / homogeneous[:, 2:] - pixels
    zero = torch.zeros_like(z)
    by_ray = torch.stack([1 / z, zero, -x / z**2, zero, 1 / z, -y / z**2], -1).reshape(-1, 2, 3)
    by_point = K[:2, :2] @ by_ray @ R.T  # (N, 2, 3): pixels by points in map axes
    eye = torch.eye(3, dtype=K.dtype).expand(len(z), 3, 3)
    lever = skew(points - T_map_camera[:3, 3])
    J = (by_point @ torch.cat([-eye, lever], -1)).reshape(-1, 6)  # (2N, 6)
    variance = residual.square().sum() / max(2 * len(z) - 6, 1)
    inverse_normal, info = torch.linalg.inv_ex(J.T @ J)
    if int(info) != 0:
        return torch.full((6, 6), torch.nan, dtype=K.dtype)
    return variance * CORRELATED_CELLS * inverse_normal
