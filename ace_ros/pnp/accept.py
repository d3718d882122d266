# SPDX-License-Identifier: Apache-2.0
"""Guards against confident nonsense: when a pose with inliers is still refused."""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

from ace_ros.config import RansacConfig

GRID = 8  # the image is divided into GRID x GRID areas for the test of spread
MIN_POINTS = 3


class Reason(IntEnum):
    """Why there is no pose; the values of ace_ros/msg/LocalizationStatus."""

    NONE = 0
    TOO_FEW_POINTS = 1
    NO_HYPOTHESIS = 2
    TOO_FEW_INLIERS = 3
    TOO_CONCENTRATED = 4
    # Of an atlas of many places:
    UNKNOWN_PLACE = 5
    AMBIGUOUS_PLACE = 6


def image_area(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return in which area of an 8x8 grid over the image pixels (B, N, 2) lie, (B, N) int64."""
    column, row = (
        ((torch.nan_to_num(pixels[..., axis]) + 0.5) * (GRID / size[axis])).long().clamp(0, GRID - 1)
        for axis in range(2)
    )
    return row * GRID + column


def sum_by_area(values: Tensor, area: Tensor) -> Tensor:
    """Return the sums (B, 64, D) over areas (B, N) of values (B, N, D)."""
    sums = values.new_zeros(len(values), GRID**2, values.shape[2])
    return sums.scatter_add_(1, area[..., None].expand_as(values), values)


def occupied_share(pixels: Tensor, chosen: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the shares (B,) of an 8x8 grid over the image that hold chosen (B, N) pixels (B, N, 2)."""
    count = sum_by_area(chosen[..., None].float(), image_area(pixels, size))
    return (count > 0).double().mean((1, 2))


def refusal(
    pixels: Tensor,
    inliers: Tensor,
    usable: Tensor,
    found: Tensor,
    size: tuple[int, int],
    config: RansacConfig,
) -> Tensor:
    """Return why poses are not believed, (B,) uint8 values of Reason.

    `inliers`, `usable` (B, N) belong to pixels (B, N, 2); `found` (B,) says where there is a pose.
    """
    points, count = usable.sum(1), inliers.sum(1)
    few = (count < config.min_inliers) | (count < config.min_inlier_share * points)
    concentrated = occupied_share(pixels, inliers, size) < config.min_occupied_share
    reason = torch.zeros_like(points)
    # From the last reason to the first, which is the one that is told.
    for refused, why in (
        (concentrated, Reason.TOO_CONCENTRATED),
        (few, Reason.TOO_FEW_INLIERS),
        (~found, Reason.NO_HYPOTHESIS),
        (points < MIN_POINTS, Reason.TOO_FEW_POINTS),
    ):
        reason = torch.where(refused, int(why), reason)
    return reason.to(torch.uint8)
