# SPDX-License-Identifier: Apache-2.0
"""Coarse depths of an image as a map, with what is not known filled in from around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.mapping.depth.plane_sweep import CELL_STEP, Swept

MAX_CONTRADICTION = 1.25  # of swept and recorded depths, in the median; beyond it the sweep met nothing


@dataclass(frozen=True)
class DepthMap:
    """Depths (gh, gw) along the optical axis in metres, of squares of `cell_px` pixels of an image."""

    depth_m: Tensor
    cell_px: int

    def at(self, pixels: Tensor) -> Tensor:
        """Return the depths (n,) at pixels (n, 2) of the image."""
        cell = (pixels / self.cell_px).long().to(self.depth_m.device)
        x = cell[:, 0].clamp(0, self.depth_m.shape[1] - 1)
        y = cell[:, 1].clamp(0, self.depth_m.shape[0] - 1)
        return self.depth_m[y, x]


def recorded_map(recorded: Tensor, stride: int) -> DepthMap:
    """Return the map of an image of which nothing but recorded depths (h, w) is known."""
    return DepthMap(fill(recorded, recorded > 0), stride)


def swept_map(found: Swept, recorded: Tensor | None, stride: int) -> DepthMap:
    """Return the map of an image whose depths were swept, and some of them, (h, w), perhaps recorded."""
    if recorded is None:
        return DepthMap(fill(found.depth, found.sure), CELL_STEP * stride)
    swept, sure = (_each_cell(x, recorded.shape) for x in (found.depth, found.sure))
    recorded = recorded.to(swept.device)
    is_recorded = recorded > 0
    both = is_recorded & sure
    # Without parallax everything matches at any depth. What was recorded tells when that is so.
    if both.any() and (swept[both] / recorded[both]).log().abs().median() > math.log(MAX_CONTRADICTION):
        sure = torch.zeros_like(sure)
    return DepthMap(fill(torch.where(is_recorded, recorded, swept), sure | is_recorded), stride)


def _each_cell(coarse: Tensor, shape: torch.Size) -> Tensor:
    """Return what coarse cells (gh, gw) have for each of the cells (h, w) that they stand for."""
    return coarse.repeat_interleave(CELL_STEP, 0).repeat_interleave(CELL_STEP, 1)[: shape[0], : shape[1]]


def fill(depth: Tensor, sure: Tensor) -> Tensor:
    """Return depths (gh, gw) with those that are not sure replaced by what is around them."""
    inverse_depth, weight = (1.0 / torch.where(sure, depth, 1.0))[None, None], sure.float()[None, None]
    filled, known = inverse_depth * weight, weight
    while not (known > 0).all():
        around = F.avg_pool2d(known, 3, 1, 1)
        spread = F.avg_pool2d(filled * known, 3, 1, 1) / around.clamp(min=1e-9)
        filled = torch.where(known > 0, filled, spread)
        known = (around > 0).float()
    return 1.0 / filled[0, 0]
