# SPDX-License-Identifier: Apache-2.0
"""Landmarks found in an image of which nothing is known: by their features alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.compute.precision import layer_type
from ace_ros.landmarks.landmarks import MIN_SIMILARITY, Landmarks
from ace_ros.landmarks.peaks import best_cells

MATCHED = 2048  # landmarks of a chunk; more find hardly more
LOOKED_AT = 256  # of each chunk, to say which of them an image shows
LOOK_STEP = 2  # in every second cell each way


def match_landmarks(landmarks: Landmarks, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Return which landmarks (n,) are in which cells (n,) of an image, numbered row after row.

    `cells` (h, w, C) are features of unit length. A match is the most similar one in both directions.
    """
    h, w = cells.shape[:2]
    similarity = _similarity(_unit(landmarks, MATCHED), cells.flatten(0, 1))  # (L, hw)
    best, cell, mutual = best_cells(similarity.view(-1, h, w))
    number = (mutual & (best > MIN_SIMILARITY)).nonzero()[:, 0]
    return number, cell[number]


def likeness(chunks: Sequence[Landmarks], cells: Tensor) -> Tensor:
    """Return how much an image (h, w, C) looks like the landmarks of each chunk, (K,).

    The mean over some cells of how similar the most similar landmark is, by how far above the least that
    counts, squared. Chunks do not compete for cells: twins look alike.
    """
    some = cells[::LOOK_STEP, ::LOOK_STEP].flatten(0, 1)
    best = [
        _similarity(some, wanted).amax(1) if len(wanted) else some.new_zeros(len(some))
        for wanted in (_unit(chunk, LOOKED_AT) for chunk in chunks)
    ]
    return (torch.stack(best).float() - MIN_SIMILARITY).clamp(min=0.0).square().mean(1)


def _unit(landmarks: Landmarks, count: int) -> Tensor:
    return F.normalize(landmarks.features[:count].float(), dim=-1)


def _similarity(these: Tensor, those: Tensor) -> Tensor:
    """Return the similarity (n, m) of unit features (n, C) and (m, C)."""
    fast = layer_type(these.device)
    return these.to(fast) @ those.to(fast).T
