# SPDX-License-Identifier: Apache-2.0
"""The loss that encoders are trained with: one point keeps its feature, different points differ."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.network.encoder import cell_centres


@dataclass(frozen=True)
class Matches:
    """Where the cells of B first views lie in the second views.

    pixels (B, n, 2), n cells row by row; visible (B, n) bool.
    """

    pixels: Tensor
    visible: Tensor


@dataclass(frozen=True)
class ContrastiveResult:
    """The loss (scalar), and the share of anchors whose most similar feature is the true match."""

    loss: Tensor
    matched: Tensor


def contrastive_loss(
    first: Tensor,
    second: Tensor,
    matches: Matches,
    *,
    stride: int,
    temperature: float,
    neighbour_px: float,
    anchors: int,
    generator: torch.Generator,
) -> ContrastiveResult:
    """Return the InfoNCE loss (van den Oord et al., 2018, equation 4) of features (B, C, h, w).

    Anchors are up to `anchors` random visible cells of the first views. The positive of an anchor
    is the second view's feature interpolated at the exact match; its negatives are all cells of
    all second views, except those within `neighbour_px` of the match. An interpolated feature that
    is nearer than the cells around it is what tells positions within a cell apart.
    """
    channels, h, w = second.shape[1:]
    image, cell = _some_visible(matches.visible, anchors, generator)
    pixels = matches.pixels[image, cell]  # (n, 2)
    anchor = F.normalize(first.flatten(2).transpose(1, 2)[image, cell], dim=-1)  # (n, C)
    positive = F.normalize(_interpolate(second, image, (pixels - (stride - 1) / 2) / stride), dim=-1)
    negatives = F.normalize(second.flatten(2).transpose(1, 2), dim=-1)  # (B, hw, C)
    with torch.autocast(first.device.type, torch.bfloat16):
        similarity = anchor @ negatives.reshape(-1, channels).T  # (n, B * hw)

    # Cells around the true match show nearly the same point; they are neither right nor wrong.
    centres = cell_centres(h * stride, w * stride, stride, first.device)
    near = torch.cdist(pixels, centres) < neighbour_px  # (n, hw)
    row, neighbour = near.nonzero(as_tuple=True)
    ignored = torch.zeros(similarity.shape, dtype=torch.bool, device=first.device)
    ignored[row, image[row] * (h * w) + neighbour] = True
    logits = (similarity.float() / temperature).masked_fill(ignored, -torch.inf)
    true = (anchor * positive).sum(-1) / temperature
    loss = F.softplus(logits.logsumexp(1) - true)  # = -log(e^true / (e^true + sum of e^others))
    return ContrastiveResult(loss.mean(), (true > logits.amax(1)).float().mean())


def _some_visible(visible: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return image and cell indices (n,) of up to `count` random visible cells."""
    image, cell = visible.nonzero(as_tuple=True)
    chosen = torch.randperm(len(image), generator=generator)[:count].to(image.device)
    return image[chosen], cell[chosen]


def _interpolate(features: Tensor, image: Tensor, at: Tensor) -> Tensor:
    """Return features (n, C) of maps (B, C, h, w), bilinear at positions (n, 2) in cells, of images (n,)."""
    h, w = features.shape[2:]
    at = torch.stack([at[:, 0].clamp(0.0, w - 1.0), at[:, 1].clamp(0.0, h - 1.0)], -1)
    x0 = at[:, 0].floor().clamp(max=max(w - 2, 0)).long()
    y0 = at[:, 1].floor().clamp(max=max(h - 2, 0)).long()
    dx, dy = (at[:, 0] - x0)[:, None], (at[:, 1] - y0)[:, None]
    grid = features.permute(0, 2, 3, 1)  # (B, h, w, C)
    x1, y1 = (x0 + 1).clamp(max=w - 1), (y0 + 1).clamp(max=h - 1)
    top = grid[image, y0, x0] * (1 - dx) + grid[image, y0, x1] * dx
    bottom = grid[image, y1, x0] * (1 - dx) + grid[image, y1, x1] * dx
    return top * (1 - dy) + bottom * dy
