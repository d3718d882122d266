# SPDX-License-Identifier: Apache-2.0
"""Covariance of a pose from its inliers, honest although neighbouring points err together.

A network sees mostly the same pixels for neighbouring points, so their errors are no independent
measurements and the inverse of the normal matrix alone is far too sure. How much too sure is
measured from the residuals: their pulls on the pose are summed over areas of the image, and the
areas' sums scatter more than independent errors would let them (Conley's estimator).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ace_ros.geometry.se3 import skew
from ace_ros.pnp.accept import GRID, image_area, sum_by_area
from ace_ros.pnp.correspondences import Correspondences
from ace_ros.pnp.refine import errors, pose_jacobian, select

REACH = 3  # areas this many rows or columns apart err independently
MIN_SHARE_LEFT = 0.25  # of the scatter between areas that fitting the pose to them leaves
MAX_OPEN = 1e8  # a direction this much less certain than its own equation says is open


def pose_covariance(
    poses: Tensor, seen: Correspondences, pixels: Tensor, size: tuple[int, int], limit_px: float
) -> Tensor:
    """Return covariances (B, 6, 6) of (x, y, z, rotation x, y, z) about the map's axes, in m and rad.

    `poses` (B, 3, 4) take the prepared points to the camera and are refined to `limit_px`;
    `pixels` (B, N, 2) say where in an image of `size` the points are seen. NaN where the
    geometry leaves a pose open.
    """
    at = errors(poses[:, None], seen)
    inliers = select(at.square_px2, seen.weights, limit_px)
    inside = inliers.weights[:, 0] > 0
    cauchy = 1 / (1 + (at.square_px2 / inliers.width_px.square())[:, 0])  # (B, N)
    # The loss's second derivative, averaged over the directions of the error, has Cauchy's weight
    # twice; its first derivative has it once.
    J = pose_jacobian(at, seen, (inliers.weights.sqrt() * cauchy[:, None]))[:, 0]  # (B, 6, 2, N)
    hessian = J.flatten(2) @ J.flatten(2).transpose(1, 2)
    pulls = (J * torch.stack(at.px, 2)[:, 0, None]).sum(2) * inliers.weights.sqrt()  # (B, 6, N)
    alone = pulls @ pulls.transpose(1, 2)
    inverse, is_open = _inverse(hessian)
    excess = _excess(pulls, alone, inverse, inside, image_area(pixels, size))
    to_map = _change_about_map_axes(poses, seen.scale)
    covariance = to_map @ inverse @ alone @ inverse @ to_map.transpose(1, 2) * excess[:, None, None]
    covariance = 0.5 * (covariance + covariance.transpose(1, 2))
    return torch.where(is_open[:, None, None], torch.nan, covariance)


def _inverse(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inverses (B, 6, 6) of normal matrices, and which (B,) are as good as singular."""
    unit = matrix.diagonal(dim1=1, dim2=2).sqrt()
    scale = unit[:, :, None] * unit[:, None]
    inverse, failed = torch.linalg.inv_ex(matrix / scale)
    largest = inverse.abs().amax((1, 2))  # rounding can make a singular one's diagonal negative
    return inverse / scale, (failed != 0) | ~(largest < MAX_OPEN)


def _excess(pulls: Tensor, alone: Tensor, inverse: Tensor, inside: Tensor, area: Tensor) -> Tensor:
    """Return how many times more (B,) the pulls of areas scatter than independent errors would.

    `pulls` (B, 6, N) of the points with the sum of their squares `alone` (B, 6, 6); `inside`
    (B, N) says which are inliers, `area` (B, N) where they are.
    """
    by_area = sum_by_area(pulls.transpose(1, 2), area)  # (B, areas, 6)
    near = _nearness(area.device)
    together = by_area.transpose(1, 2) @ near @ by_area
    # The pulls add up to nothing at the best pose, which hides a part of their scatter: nearly all
    # of it where few areas hold inliers.
    occupied = (sum_by_area(inside[..., None].double(), area) > 0)[..., 0].double()
    count = occupied.sum(1).clamp(min=1.0)
    left = 1 - (occupied @ near * occupied).sum(1) / count.square()
    ratio = (inverse * together).sum((1, 2)) / (inverse * alone).sum((1, 2))
    return (ratio / left.clamp(min=MIN_SHARE_LEFT)).clamp(min=1.0)


def _nearness(device: torch.device) -> Tensor:
    """Return how much (areas, areas) float64 the errors of two areas are taken to have in common."""
    place = torch.arange(GRID, device=device, dtype=torch.float64)
    line = (1 - (place[:, None] - place).abs() / REACH).clamp(min=0.0)
    return torch.kron(line, line)


def _change_about_map_axes(poses: Tensor, scale: Tensor) -> Tensor:
    """Return matrices (B, 6, 6) from changes in camera axes to the camera's change in the map.

    From (rotation, translation in units of `scale` (B,)) of poses (B, 3, 4) from map to camera, to
    (position in m, rotation).
    """
    back = -poses[..., :3].transpose(1, 2)
    shift = scale[:, None, None] * torch.cat([back @ skew(poses[..., 3]), back], 2)
    return torch.cat([shift, torch.cat([back, torch.zeros_like(back)], 2)], 1)
