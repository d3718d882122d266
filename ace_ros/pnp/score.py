# SPDX-License-Identifier: Apache-2.0
"""Soft inlier scores of many poses, in bounded memory.

The error of a point in pixels, times its depth, is linear in the twelve numbers of the pose. The
camera and the limit go into the coefficients, so that one product of matrices projects all points
under all poses. float32 is enough, because the points are centred and scaled before.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ace_ros.pnp.correspondences import Correspondences

MIN_DEPTH = 1e-3  # in units of the scene's scale; nearer points, or behind the camera, are outliers
NO_DEPTH, NOT_ZERO = 1e-12, 1e-14
CHUNK_ELEMENTS = {"cpu": 1 << 18, "cuda": 1 << 26}  # errors at a time: the cache, the memory


def projection_coefficients(seen: Correspondences, limit_px: float) -> Tensor:
    """Return coefficients (B, 12, 3 N) float32.

    A pose (12,), the rows of [R t] from map to camera, times them gives N errors along x and N
    along y, both in units of the limit and times the depth, and N depths.
    """
    ones = torch.ones_like(seen.points[:, :1])
    place = torch.cat([seen.points, ones], 1)  # (B, 4, N)
    j = seen.jacobian / limit_px
    toward = -(j[:, :, 0] * seen.rays[:, None, 0] + j[:, :, 1] * seen.rays[:, None, 1])  # (B, 2, N)
    nothing = torch.zeros_like(place)
    errors = [
        torch.cat([place * j[:, row, :1], place * j[:, row, 1:], place * toward[:, row, None]], 1)
        for row in range(2)
    ]
    depth = torch.cat([nothing, nothing, place], 1)
    return torch.cat([*errors, depth], 2).float()


def soft_inliers(poses: Tensor, coefficients: Tensor, weights: Tensor) -> Tensor:
    """Return the scores (B, M) of poses (B, M, 12) on N points with weights (B, N), float32.

    A point counts as 1 - (error / limit)^2 of its weight, not less than 0. Void poses score NaN.
    """
    batch, count = weights.shape
    chunk = max(1, CHUNK_ELEMENTS.get(poses.device.type, 1 << 20) // max(1, batch * count))
    weights = weights.float()[..., None]
    total = weights.sum(1)
    poses = poses.float()
    scores = [
        total - (_capped_errors(some, coefficients, count) @ weights)[..., 0]
        for some in poses.split(chunk, 1)
    ]
    return torch.cat(scores, 1)


def _capped_errors(poses: Tensor, coefficients: Tensor, count: int) -> Tensor:
    """Return squared errors (B, m, N) in units of the limit, at most 1."""
    x, y, depth = (poses @ coefficients).split(count, 2)
    # A depth too small becomes one that not even NOT_ZERO survives; else a point behind the camera
    # would be seen through its back. In place, because memory is what this costs.
    depth = torch.nn.functional.threshold(depth, MIN_DEPTH, NO_DEPTH, inplace=True).square_()
    squared = torch.addcmul(x.new_full((), NOT_ZERO), x, x).addcmul_(y, y)
    return squared.div_(depth).clamp_(max=1.0)
