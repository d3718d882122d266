# SPDX-License-Identifier: Apache-2.0
"""What the recorded drive says of the true one: odometry drifts, a little with every step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ace_ros.geometry.se3 import rotation_angle, so3_log

# Drift is a random walk: its deviation grows with the root of what was driven. On each axis:
DRIFT_M = 0.2  # after DRIVE_M: 2 %
DRIFT_RAD = math.radians(1.0)
DRIVE_M = 10.0
TURN_M_PER_RAD = 0.5  # a turn drifts like a drive of this length
STILL_M = 0.01  # and a step without movement like this


class OdometryPrior:
    """The recorded poses (I, 4, 4) of a drive as a prior on the true ones.

    Corrections (I, 6) move a camera by the first three numbers in metres and turn it in place about
    the map frame's axes by the last three in radians. They are sums of errors of the single steps;
    a false turn also moves all that follows. In steps (I - 1, 6), divided by their deviations, the
    prior is the unit normal distribution. The first pose has no correction.
    """

    def __init__(self, T_map_camera: Tensor) -> None:
        R, p = T_map_camera[:, :3, :3], T_map_camera[:, :3, 3]
        self._turns = R[:-1].mT @ R[1:]
        self._moves = _rotated(R[:-1].mT, p[1:] - p[:-1])
        driven = self._moves.norm(dim=-1) + TURN_M_PER_RAD * rotation_angle(self._turns) + STILL_M
        deviation = (driven / DRIVE_M).sqrt()[:, None]
        self._deviation = torch.cat(
            [(DRIFT_M * deviation).expand(-1, 3), (DRIFT_RAD * deviation).expand(-1, 3)], 1
        )

    def corrections(self, steps: Tensor, positions: Tensor) -> Tensor:
        """Return the corrections (I, 6) of cameras at positions (I, 3) that steps (I - 1, 6) add up to."""
        moved, turned = (steps * self._deviation).split(3, 1)
        turn = torch.cat([turned.new_zeros(1, 3), turned.cumsum(0)])
        swung = torch.linalg.cross(turn[:-1], positions[1:] - positions[:-1])
        shift = torch.cat([moved.new_zeros(1, 3), (moved + swung).cumsum(0)])
        return torch.cat([shift, turn], 1)

    def adjoint(self, gradient: Tensor, positions: Tensor) -> Tensor:
        """Return the gradient (I - 1, 6) in steps of what has a gradient (I, 6) in corrections."""
        shift, turn = gradient.split(3, 1)
        moved = _sum_from(shift)[1:]
        swung = torch.linalg.cross(positions[1:] - positions[:-1], moved)
        turned = _sum_from(torch.cat([turn[:-1] + swung, turn[-1:]]))[1:]
        return torch.cat([moved, turned], 1) * self._deviation

    def deviations(self, R: Tensor, positions: Tensor) -> Tensor:
        """Return the steps (I - 1, 6) by which rotations (I, 3, 3) and positions differ from the recorded."""
        moves = _rotated(R[:-1].mT, positions[1:] - positions[:-1])
        turns = so3_log(self._turns.mT @ R[:-1].mT @ R[1:])
        differences = [_rotated(R[:-1], moves - self._moves), _rotated(R[1:], turns)]
        return torch.cat(differences, 1) / self._deviation


def _rotated(R: Tensor, v: Tensor) -> Tensor:
    return (R @ v[..., None])[..., 0]


def _sum_from(values: Tensor) -> Tensor:
    """Return for every row the sum of it and all later ones."""
    return values.flip(0).cumsum(0).flip(0)
