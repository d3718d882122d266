# SPDX-License-Identifier: Apache-2.0
"""Errors between poses, and recall figures as the field reports them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ace_ros.geometry.se3 import rotation_angle, so3_log

RECALL_LIMITS = {  # key: (metres, radians)
    "10cm_5deg": (0.10, math.radians(5.0)),
    "5cm_5deg": (0.05, math.radians(5.0)),
    "2cm_2deg": (0.02, math.radians(2.0)),
    "1cm_1deg": (0.01, math.radians(1.0)),
}


def pose_error(T_a: Tensor, T_b: Tensor) -> tuple[Tensor, Tensor]:
    """Return distance (...,) in metres and angle (...,) in radians between poses (..., 4, 4)."""
    distance = (T_a[..., :3, 3] - T_b[..., :3, 3]).norm(dim=-1)
    angle = rotation_angle(T_a[..., :3, :3].transpose(-1, -2) @ T_b[..., :3, :3])
    return distance, angle


def recall(translation_m: Tensor, rotation_rad: Tensor) -> dict[str, float]:
    """Return the share of all frames (F,) within each limit; NaN (no pose) is a miss."""
    return {
        key: float(((translation_m <= metres) & (rotation_rad <= radians)).double().mean())
        for key, (metres, radians) in RECALL_LIMITS.items()
    }


def median_of_localized(values: Tensor) -> float:
    """Return the median of the finite values (F,), NaN if there is none."""
    finite = values[torch.isfinite(values)]
    return float(finite.median()) if len(finite) else math.nan


def normalised_squared_error(T: Tensor, covariance: Tensor, T_true: Tensor) -> Tensor:
    """Return the NEES (...,) of poses (..., 4, 4) with covariances (..., 6, 6) of (x, y, z, rotation).

    Both are about the map's axes, as in ROS (Bar-Shalom et al., "Estimation with applications to
    tracking and navigation", 2001, section 5.4). Honest covariances give a chi-square distribution
    of six degrees of freedom.
    """
    turn = so3_log(T[..., :3, :3] @ T_true[..., :3, :3].transpose(-1, -2))
    error = torch.cat([T[..., :3, 3] - T_true[..., :3, 3], turn], -1)
    nees: Tensor = (error * torch.linalg.solve(covariance, error)).sum(-1)
    return nees
