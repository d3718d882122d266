# SPDX-License-Identifier: Apache-2.0
"""Which other mapping images an image is compared with: those near it that look the same way."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Neighbours by rank of distance: near ones match surely, far ones tell depths apart. Where the
# farthest is nearer than a share of the depth (a video instead of keyframes), ranks are multiplied.
NEIGHBOUR_RANKS = (1, 2, 4, 8)
RANK_FACTORS = (1, 4, 16, 64)
PROBED = 8  # images that say which factor is right
MIN_DISTANCE_M = 1e-6


def distances(T_map_camera: Tensor, index: int, max_turn_deg: float) -> Tensor:
    """Return the distances (I,) of all cameras from one, infinite for those that look another way.

    T_map_camera (I, 4, 4); another way is one that differs by more than `max_turn_deg`.
    """
    distance = (T_map_camera[:, :3, 3] - T_map_camera[index, :3, 3]).norm(dim=-1)
    same_way = T_map_camera[:, :3, 2] @ T_map_camera[index, :3, 2] > math.cos(math.radians(max_turn_deg))
    return torch.where(same_way, distance, torch.inf)


def nearest_first(distance: Tensor) -> list[int]:
    """Return the neighbours at distances (I,), the nearest first; images at the same place are none."""
    usable = (torch.isfinite(distance) & (distance > MIN_DISTANCE_M)).nonzero()[:, 0]
    ordered: list[int] = usable[distance[usable].argsort()].tolist()
    return ordered
