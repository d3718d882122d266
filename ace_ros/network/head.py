# SPDX-License-Identifier: Apache-2.0
"""The scene-specific head: features in, 3-D points in the map's local frame out. It is the map."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Homogeneous output (ACE, section 3.3): h in [MIN_H, MAX_H] divides the three coordinates, so the
# network reaches 100 m as easily as 1 m. h = 1 where its channel is 0.
MIN_H = 0.25
MAX_H = 100.0
SOFTPLUS_BETA = math.log(2.0) / (1.0 - MIN_H)


class Head(nn.Module):
    """An MLP of residual blocks over single features (1x1 convolutions, written as matrices).

    Points are relative to the map's centre, which the map file holds in float64.
    """

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.channels, self.width, self.num_blocks = channels, width, blocks
        self.entry = nn.Linear(channels, width)
        self.blocks = nn.ModuleList([_block(width) for _ in range(1 + blocks)])
        self.exit = _block(width)[:4]
        self.output = nn.Linear(width, 4)

    def forward(self, features: Tensor) -> Tensor:
        """Return points (..., 3) float32 in the local frame, in metres, of features (..., C)."""
        x = self.entry(features)
        for block in self.blocks:
            x = x + block(x)
        x = self.exit(x)
        with torch.autocast(x.device.type, enabled=False):
            # A half-precision last layer would quantise a point at 5 m to 2 cm.
            return points_of(self.output(x.float()))

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Return the square weights between entry and output."""
        modules = (*self.blocks.modules(), *self.exit.modules())
        weights = [m.weight for m in modules if isinstance(m, nn.Linear)]
        return [weight for weight in weights if isinstance(weight, nn.Parameter)]

    @torch.no_grad()
    def scale_points(self, factor: float) -> None:
        """Multiply all points that the head returns by a factor."""
        self.output.weight[:3] *= factor
        self.output.bias[:3] *= factor


def points_of(xyzh: Tensor) -> Tensor:
    """Return the points (..., 3) of a head's homogeneous output (..., 4)."""
    h = (F.softplus(xyzh[..., 3:], beta=SOFTPLUS_BETA) + MIN_H).clamp(max=MAX_H)
    return xyzh[..., :3] / h


def _block(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Linear(width, width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
