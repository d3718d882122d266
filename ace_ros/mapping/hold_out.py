# SPDX-License-Identifier: Apache-2.0
"""Which mapping images are held out, so that the map can be validated on images it was not trained on."""

from __future__ import annotations

import math

import torch
from torch import Tensor

MIN_IMAGES = 24  # fewer are all needed to learn from; two held out would say little, and cost a lot
MAX_HELD_OUT = 200  # more would tell nothing new, and take time to localize


def held_out(images: int, share: float) -> Tensor:
    """Return which (images,) bool of so many images, in the order of the drive, are held out.

    They are blocks of images in a row, spread evenly: between single ones the neighbours would give
    the answer away. The first and the last images, beyond which nothing is known, are never among them.
    """
    chosen = torch.zeros(images, dtype=torch.bool)
    total = min(round(share * images), MAX_HELD_OUT)
    if images < MIN_IMAGES or total == 0:
        return chosen
    blocks = round(math.sqrt(total))
    for block in range(blocks):
        length = total // blocks + (block < total % blocks)
        start = round((block + 0.5) * images / blocks - length / 2)
        chosen[start : start + length] = True
    return chosen


def blocks_of(chosen: Tensor) -> list[list[int]]:
    """Return the runs of neighbouring indices that are true in a mask (I,)."""
    runs: list[list[int]] = []
    for index in chosen.nonzero()[:, 0].tolist():
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs
