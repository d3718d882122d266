# SPDX-License-Identifier: Apache-2.0
"""Many heads of equal shape as one batched product: the chunks of a place on features computed once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ace_ros.compute.precision import layer_type
from ace_ros.network.head import Head, points_of


class HeadEnsemble:
    """The weights of K heads, stacked on a device in the type that is fast there.

    What a head returns does not depend on the others that are evaluated with it.
    """

    def __init__(self, heads: Sequence[Head], device: torch.device) -> None:
        shapes = {(head.channels, head.width, head.num_blocks) for head in heads}
        if len(shapes) != 1:
            raise ValueError(f"heads of one shape expected, got {sorted(shapes)}")
        self.type = layer_type(device)
        self._blocks = 1 + heads[0].num_blocks
        layers = list(zip(*(_layers(head) for head in heads), strict=True))
        self._weights = [_stacked([m.weight.T for m in some], device) for some in layers]
        self._biases = [_stacked([m.bias[None] for m in some], device) for some in layers]
        # All but the last layer, whose half precision would quantise a point at 5 m to 2 cm.
        self._weights[:-1] = [w.to(self.type) for w in self._weights[:-1]]
        self._biases[:-1] = [b.to(self.type) for b in self._biases[:-1]]

    def __len__(self) -> int:
        return len(self._weights[0])

    def __call__(self, features: Tensor, heads: Tensor | None = None) -> Tensor:
        """Return points (M, N, 3) float32, local, of features (M, N, C) by the heads with indices (M,).

        Without indices all K heads see the same features (1, N, C). Call it under inference mode.
        """
        layers = list(zip(self._biases, self._weights, strict=True))
        if heads is not None:
            layers = [(bias[heads], weight[heads]) for bias, weight in layers]
        entry, *hidden, output = layers
        x = features.to(self.type).expand(len(entry[0]), -1, -1)
        x = torch.baddbmm(entry[0], x, entry[1])
        for block in range(self._blocks):
            y = x
            for bias, weight in hidden[3 * block : 3 * block + 3]:
                y = torch.baddbmm(bias, y, weight).relu_()
            x = x + y
        for bias, weight in hidden[3 * self._blocks :]:
            x = torch.baddbmm(bias, x, weight).relu_()
        return points_of(torch.baddbmm(output[0], x.float(), output[1]))


def _layers(head: Head) -> list[nn.Linear]:
    """Return the linear layers of a head in the order in which they are applied."""
    modules = [head.entry, *head.blocks.modules(), *head.exit.modules(), head.output]
    return [m for m in modules if isinstance(m, nn.Linear)]


def _stacked(values: Sequence[Tensor], device: torch.device) -> Tensor:
    return torch.stack([v.detach().float() for v in values]).to(device)
