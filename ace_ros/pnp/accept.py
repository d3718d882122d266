# SPDX-License-Identifier: Apache-2.0
"""Guards against confident nonsense: when a pose with inliers is still refused."""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

from ace_ros.config import RansacConfig

GRID = 8  # the image is divided into GRID x GRID areas for the test of spread


class Reason(IntEnum):
    """Why there is no pose; the values of ace_ros/msg/LocalizationStatus."""

    NONE = 0
    TOO_FEW_POINTS = 1
    NO_HYPOTHESIS = 2
    TOO_FEW_INLIERS = 3
    TOO_CONCENTRATED = 4


def occupied_share(pixels: Tensor, chosen: Tensor, size: tuple[int, int]) -> float:
    """Return the share of an 8x8 grid over the image that holds chosen (N,) pixels (N, 2)."""
    scale = pixels.new_tensor([GRID / size[0], GRID / size[1]])
    cells = ((pixels[chosen] + 0.5) * scale).long().clamp(0, GRID - 1)
    return len(torch.unique(cells[:, 1] * GRID + cells[:, 0])) / GRID**2


def refusal(
    pixels: Tensor, inliers: Tensor, usable: Tensor, size: tuple[int, int], config: RansacConfig
) -> Reason:
    """Return why a pose with these inliers (N,) is not believed, Reason.NONE if it is."""
    count = int(inliers.sum())
    if count < config.min_inliers or count < config.min_inlier_share * int(usable.sum()):
        return Reason.TOO_FEW_INLIERS
    if occupied_share(pixels, inliers, size) < config.min_occupied_share:
        return Reason.TOO_CONCENTRATED
    return Reason.NONE
