# SPDX-License-Identifier: Apache-2.0
"""The front door of the pose solver: `solve_pose`.

The minimal solver and the RANSAC loop are PoseLib's (LO-RANSAC with P3P); acceptance guards and
covariance are ours, in `accept.py` and `covariance.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import poselib
import torch
from torch import Tensor

from ace_ros.config import RansacConfig
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import inverse, transform
from ace_ros.pnp.accept import Reason, refusal
from ace_ros.pnp.covariance import pose_covariance


@dataclass(frozen=True)
class PoseBatch:
    """Poses of B images with N correspondences each; where `ok` is False, pose and covariance are NaN.

    T_map_camera (B, 4, 4) float64; ok (B,) bool; inliers (B, N) bool; covariance (B, 6, 6) float64
    of (x, y, z, rotation about x, y, z), all about the map frame's axes as in
    geometry_msgs/PoseWithCovariance, in m and rad; reason (B,) uint8, values of `Reason`.
    """

    T_map_camera: Tensor
    ok: Tensor
    inliers: Tensor
    covariance: Tensor
    reason: Tensor


def solve_pose(
    pixels: Tensor,
    points: Tensor,
    cameras: Camera,
    config: RansacConfig,
    generator: torch.Generator | None = None,
) -> PoseBatch:
    """Return the camera poses that explain pixels (B, N, 2) of points (B, N, 3) in the map frame.

    `cameras` hold one matrix for all images or one each; `generator` replaces the config's seed.
    Correspondences that are not finite are ignored. Raises ValueError on arguments of wrong shape.
    """
    _check_arguments(pixels, points, cameras)
    batch, count = pixels.shape[:2]
    pixels, points = pixels.double(), points.double()
    rays_px = cameras.undistort(pixels)  # (B, N, 2)
    usable = torch.isfinite(rays_px).all(-1) & torch.isfinite(points).all(-1)
    seed = config.seed if generator is None else int(torch.randint(2**31, (1,), generator=generator))
    T = torch.full((batch, 4, 4), torch.nan, dtype=torch.float64)
    covariance = torch.full((batch, 6, 6), torch.nan, dtype=torch.float64)
    inliers = torch.zeros(batch, count, dtype=torch.bool)
    reason = torch.full((batch,), Reason.NO_HYPOTHESIS, dtype=torch.uint8)
    for b in range(batch):
        K = (cameras.matrix if cameras.matrix.dim() == 2 else cameras.matrix[b]).cpu()
        found = _solve_one(rays_px[b].cpu(), points[b].cpu(), usable[b].cpu(), K, cameras.size, config, seed)
        if isinstance(found, Reason):
            reason[b] = found
            continue
        pose, agreeing = found
        inliers[b] = agreeing
        reason[b] = refusal(pixels[b].cpu(), agreeing, usable[b].cpu(), cameras.size, config)
        if reason[b] == Reason.NONE:
            T[b] = pose
            covariance[b] = pose_covariance(pose, rays_px[b].cpu()[agreeing], points[b].cpu()[agreeing], K)
    device = pixels.device
    ok = reason == Reason.NONE
    return PoseBatch(T.to(device), ok.to(device), inliers.to(device), covariance.to(device), reason.to(device))


def _check_arguments(pixels: Tensor, points: Tensor, cameras: Camera) -> None:
    if pixels.dim() != 3 or pixels.shape[-1] != 2:
        raise ValueError(f"pixels must be (B, N, 2), got {tuple(pixels.shape)}")
    if points.shape != (*pixels.shape[:2], 3):
        raise ValueError(f"points must be {(*pixels.shape[:2], 3)} like pixels, got {tuple(points.shape)}")
    if cameras.matrix.dim() == 3 and len(cameras.matrix) != len(pixels):
        raise ValueError(f"{len(cameras.matrix)} cameras for {len(pixels)} images")
    if not pixels.device == points.device == cameras.matrix.device:
        raise ValueError("pixels, points and cameras must be on one device")


def _solve_one(
    pixels: Tensor,
    points: Tensor,
    usable: Tensor,
    K: Tensor,
    size: tuple[int, int],
    config: RansacConfig,
    seed: int,
) -> tuple[Tensor, Tensor] | Reason:
    """Return (T_map_camera (4, 4), inliers (N,)) of undistorted pixels (N, 2), or why there is none."""
    if int(usable.sum()) < 4:
        return Reason.TOO_FEW_POINTS
    centre = points[usable].median(0).values
    centred = (points - centre)[usable].numpy()
    # PoseLib's pinhole has no skew: remove it from the pixels.
    pixels = pixels.clone()
    pixels[:, 0] -= K[0, 1] * (pixels[:, 1] - K[1, 2]) / K[1, 1]
    camera = {
        "model": "PINHOLE",
        "width": size[0],
        "height": size[1],
        "params": [float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2])],
    }
    options = {"max_error": config.inlier_px, "ransac": {"seed": seed % 2**31}}
    pose, info = poselib.estimate_absolute_pose(pixels[usable].numpy(), centred, camera, options)
    if not np.isfinite(pose.Rt).all() or info["num_inliers"] < 3:
        return Reason.NO_HYPOTHESIS
    T_camera_centred = torch.eye(4, dtype=torch.float64)
    T_camera_centred[:3] = torch.from_numpy(pose.Rt)
    T = inverse(T_camera_centred)
    T[:3, 3] += centre
    in_camera = transform(T_camera_centred, points - centre)
    projected = in_camera[:, :2] / in_camera[:, 2:]
    error = torch.stack(
        [projected[:, 0] * K[0, 0] + K[0, 2], projected[:, 1] * K[1, 1] + K[1, 2]], -1
    ) - pixels
    return T, usable & (in_camera[:, 2] > 0) & (error.norm(dim=-1) < config.inlier_px)
