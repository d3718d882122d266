# SPDX-License-Identifier: Apache-2.0
"""Refinement of poses on the points that agree with them: Levenberg-Marquardt, batched, float64.

The loss is Cauchy's, as wide as the inliers of the moment scatter, because the errors of a
network's points have heavy tails. After a fixed number of steps the inliers are chosen anew. A
step that does not lower the loss is not taken, but takes its time all the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ace_ros.geometry.se3 import skew
from ace_ros.pnp.correspondences import Correspondences
from ace_ros.pnp.score import MIN_DEPTH

RAYLEIGH_MEDIAN = 1.17741  # median length of a plane error of standard deviation 1
CAUCHY_WIDTH = 2.385  # in standard deviations: 95 % efficient if the errors are Gaussian
MIN_WIDTH_PX = 1e-3
DAMPING = 1e-4, 0.1, 10.0  # at the start, after a step that was taken, after one that was not


class Errors(NamedTuple):
    """Errors of N points under k poses of B images, and what their derivatives are made of.

    px: along x and y, each (B, k, N). square_px2 (B, k, N): their length squared, infinite behind
    the camera. ray: x and y on the plane z = 1, each (B, k, N). by_depth (B, k, N). turned
    (B, k, 3, N): the points in camera axes, before the translation.
    """

    px: tuple[Tensor, Tensor]
    square_px2: Tensor
    ray: tuple[Tensor, Tensor]
    by_depth: Tensor
    turned: Tensor


def errors(poses: Tensor, seen: Correspondences) -> Errors:
    """Return the errors of poses (B, k, 3, 4), from map to camera."""
    turned = poses[..., :3] @ seen.points[:, None]
    x, y, depth = (turned + poses[..., 3:]).unbind(2)
    by_depth = 1 / depth.clamp(min=MIN_DEPTH)
    ray = x * by_depth, y * by_depth
    off = ray[0] - seen.rays[:, None, 0], ray[1] - seen.rays[:, None, 1]
    j = seen.jacobian[:, None]
    px, py = (j[:, :, row, 0] * off[0] + j[:, :, row, 1] * off[1] for row in range(2))
    square = torch.where(depth > MIN_DEPTH, px * px + py * py, torch.inf)
    return Errors((px, py), square, ray, by_depth, turned)


def pose_jacobian(at: Errors, seen: Correspondences, factor: Tensor) -> Tensor:
    """Return `factor` (B, k, N) times the derivatives of the errors in px by the pose, (B, k, 6, 2, N).

    A change turns and then shifts in camera axes: (rotation x, y, z, translation x, y, z).
    """
    px, py, pz = at.turned.unbind(2)
    size = factor * at.by_depth
    J = size.new_empty(*size.shape[:2], 6, 2, size.shape[2])
    for row in range(2):
        gx = seen.jacobian[:, None, row, 0] * size
        gy = seen.jacobian[:, None, row, 1] * size
        gz = -(gx * at.ray[0] + gy * at.ray[1])
        entries = (py * gz - pz * gy, pz * gx - px * gz, px * gy - py * gx, gx, gy, gz)
        for i, entry in enumerate(entries):
            J[:, :, i, row] = entry
    return J


def moved(poses: Tensor, change: Tensor) -> Tensor:
    """Return poses (B, k, 3, 4) changed by (B, k, 6); the rotation after Cayley, exact to 2nd order."""
    half = 0.5 * change[..., :3]
    S = skew(half)
    turn = 2 / (1 + half.square().sum(-1))[..., None, None] * (S + S @ S)
    R = poses[..., :3] + turn @ poses[..., :3]
    return torch.cat([R, poses[..., 3:] + change[..., 3:, None]], -1)


class Inliers(NamedTuple):
    """What one round of refinement works on: weights (B, k, N) and the loss's width (B, k, 1)."""

    weights: Tensor
    width_px: Tensor


def select(square_px2: Tensor, weights: Tensor, limit_px: float) -> Inliers:
    """Return the points within the limit and how wide the loss has to be for them."""
    inside = (square_px2 < limit_px**2) & (weights[:, None] > 0)
    median = torch.where(inside, square_px2, torch.nan).nanmedian(-1, keepdim=True).values.sqrt()
    sigma = torch.nan_to_num(median, nan=limit_px) / RAYLEIGH_MEDIAN
    width = (CAUCHY_WIDTH * sigma).clamp(min=MIN_WIDTH_PX)
    return Inliers(inside * weights[:, None], width)


def refine(poses: Tensor, seen: Correspondences, limits_px: tuple[float, ...], steps: int) -> Tensor:
    """Return poses (B, k, 3, 4) refined in one round of `steps` for each limit of an inlier's error.

    Poses are from map to camera. `seen` holds the same points for all k poses of an image.
    """
    for limit in limits_px:
        poses = _round(poses, seen, limit, steps)
    return orthonormal(poses)


def _round(poses: Tensor, seen: Correspondences, limit_px: float, steps: int) -> Tensor:
    """Return poses after some steps of Levenberg-Marquardt on the inliers of the beginning."""
    at = errors(poses, seen)
    inliers = select(at.square_px2, seen.weights, limit_px)
    matrix, right = _normal_equations(at, seen, inliers)
    loss = _loss(at, inliers)
    damping, down, up = torch.full_like(loss, DAMPING[0]), *DAMPING[1:]
    for left in reversed(range(steps)):
        tried = moved(poses, _solution(matrix, right, damping))
        at = errors(tried, seen)
        tried_loss = _loss(at, inliers)
        better = tried_loss < loss
        poses = torch.where(better[..., None, None], tried, poses)
        if left:
            tried_matrix, tried_right = _normal_equations(at, seen, inliers)
            matrix = torch.where(better[..., None, None], tried_matrix, matrix)
            right = torch.where(better[..., None], tried_right, right)
            loss = torch.where(better, tried_loss, loss)
            damping = damping * torch.where(better, down, up)
    return poses


def _loss(at: Errors, inliers: Inliers) -> Tensor:
    # A point that slips behind the camera costs as much as one far off; infinity times 0 is NaN.
    ratio = (at.square_px2 / inliers.width_px.square()).clamp(max=1e12)
    return (inliers.weights * torch.log1p(ratio)).sum(-1)


def _normal_equations(at: Errors, seen: Correspondences, inliers: Inliers) -> tuple[Tensor, Tensor]:
    """Return the matrices (B, k, 6, 6) and right sides (B, k, 6) of Gauss-Newton's step."""
    root = (inliers.weights / (1 + at.square_px2 / inliers.width_px.square())).sqrt()
    J = pose_jacobian(at, seen, root).flatten(3)  # (B, k, 6, 2 N)
    right = J @ torch.cat([root * at.px[0], root * at.px[1]], 2)[..., None]
    return J @ J.transpose(-1, -2), -right[..., 0]


def _solution(matrix: Tensor, right: Tensor, damping: Tensor) -> Tensor:
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    # A share of the mean keeps a direction solvable that no point holds.
    added = damping[..., None] * (diagonal + 1e-6 * diagonal.mean(-1, keepdim=True)) + 1e-300
    solution: Tensor = torch.linalg.solve_ex(matrix + torch.diag_embed(added), right)[0]
    return solution


def orthonormal(poses: Tensor) -> Tensor:
    """Return poses (..., 3, 4) with rotations brought back from rounding errors (Newton-Schulz)."""
    R = poses[..., :3]
    for _ in range(2):
        R = 1.5 * R - 0.5 * R @ (R.transpose(-1, -2) @ R)
    return torch.cat([R, poses[..., 3:]], -1)
