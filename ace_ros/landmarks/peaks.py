# SPDX-License-Identifier: Apache-2.0
"""Where in a map of similarities the largest is, and where its peak lies between the cells."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_SHIFT = 0.6  # cells; the largest of nine neighbours has its peak within half a cell, mostly


def best_cells(similarity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return where n things are in an image, of how similar (n, h, w) each of its cells is to them.

    The largest similarity (n,) of each; its cell (n,), numbered row after row; and whether (n,) no other
    one is more similar to that cell.
    """
    # On a CPU `amax` takes a fifth of the time of `max`, which says where it is, too: so rows come first.
    of_rows = similarity.amax(2)
    best, row = of_rows.max(1)
    index = torch.arange(len(similarity), device=similarity.device)
    cell = row * similarity.shape[2] + similarity[index, row].argmax(1)
    mutual = best == similarity.amax(0).flatten()[cell]
    # Of several that are equally similar to a cell, as rounded numbers often are, the first has it.
    first = index.new_full((similarity[0].numel(),), len(index))
    first.scatter_reduce_(0, cell[mutual], index[mutual], "amin")
    return best, cell, mutual & (first[cell] == index)


def peak_shift(around: Tensor) -> Tensor:
    """Return the shift (..., 2), x and y in cells, from the middle of 3x3 cells (..., 3, 3) to the peak.

    By the quadratic through the middle that has their central differences, with the mixed one: along
    an edge the peak is a ridge, which seldom runs along the cells. Zero where there is no peak.
    """
    middle = around[..., 1, 1]
    gx = 0.5 * (around[..., 1, 2] - around[..., 1, 0])
    gy = 0.5 * (around[..., 2, 1] - around[..., 0, 1])
    bend_x = 2.0 * middle - around[..., 1, 0] - around[..., 1, 2]
    bend_y = 2.0 * middle - around[..., 0, 1] - around[..., 2, 1]
    mixed = around[..., 0, 0] + around[..., 2, 2] - around[..., 0, 2] - around[..., 2, 0]
    twist = -0.25 * mixed
    determinant = bend_x * bend_y - twist * twist
    is_peak = (bend_x > 0) & (bend_y > 0) & (determinant > 0)
    scale = torch.where(is_peak, 1.0 / determinant.clamp(min=1e-12), 0.0)
    shift = torch.stack([bend_y * gx - twist * gy, bend_x * gy - twist * gx], -1) * scale[..., None]
    return shift.clamp(-MAX_SHIFT, MAX_SHIFT)
