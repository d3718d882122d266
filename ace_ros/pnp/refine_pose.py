# SPDX-License-Identifier: Apache-2.0
"""Refine poses that are nearly right on correspondences that mostly are: no search, no hypotheses."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ace_ros.compute.precision import full_precision
from ace_ros.compute.threads import one_thread
from ace_ros.geometry.camera import Camera
from ace_ros.pnp.correspondences import prepare
from ace_ros.pnp.covariance import pose_covariance
from ace_ros.pnp.refine import refine
from ace_ros.pnp.solve import check, check_tensor, inliers_of, to_map, to_prepared

STEPS = 3  # of Levenberg-Marquardt in each round


class RefinedPoses(NamedTuple):
    """T_map_camera (B, 4, 4) float64, inliers (B, N) bool, covariance (B, 6, 6) float64 as in PoseBatch.

    The covariance is NaN where the correspondences leave the pose open.
    """

    T_map_camera: Tensor
    inliers: Tensor
    covariance: Tensor


def refine_pose(
    pixels: Tensor,
    points: Tensor,
    camera: Camera,
    T_map_camera: Tensor,
    limits_px: tuple[float, ...],
    weights: Tensor | None = None,
) -> RefinedPoses:
    """Return poses T_map_camera (B, 4, 4) refined on pixels (B, N, 2) of points (B, N, 3) in the map frame.

    There is a round for each limit of an inlier's error in px; the last one says which are inliers.
    `weights` (B, N) >= 0 say how much each correspondence counts; what is not finite is ignored.
    Raises ValueError, which names the argument, on a wrong shape, type or device.
    """
    check(pixels, points, camera, weights)
    check_tensor("T_map_camera", T_map_camera, (len(pixels), 4, 4), pixels)
    with torch.no_grad(), full_precision(), one_thread(pixels.device):
        pixels = pixels.double()
        seen = prepare(pixels, points, camera, weights)
        poses = to_prepared(T_map_camera, seen).unflatten(2, (3, 4))
        poses = refine(poses, seen, limits_px, STEPS)[:, 0]
        return RefinedPoses(
            to_map(poses, seen),
            inliers_of(poses, seen, pixels, camera, limits_px[-1]),
            pose_covariance(poses, seen, pixels, camera.size, limits_px[-1]),
        )
