# SPDX-License-Identifier: Apache-2.0
"""The optimiser of the head's hidden layers: momentum with orthogonalised matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ace_ros.compute.precision import layer_type

# An odd polynomial that drives singular values towards 1 (Jordan et al., "Muon: an optimizer for
# hidden layers in neural networks", 2024). Three rounds do: five cost more than they gain here.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUNDS = 3


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024) for matrices of one shape, all worked on as one batch.

    The update is the nearest semi-orthogonal matrix to the momentum: all directions of a layer
    learn equally fast, not only the few that dominate its gradient. The head, which has to learn a
    place by heart, needs half as many steps that way as with Adam (see docs/notes/mapping.md).

    Half of the matrices are made orthogonal in each step, the others keep their direction from the step
    before: momentum changes slowly, and the products are a quarter of a training step on a CPU. The
    learning rate may be a tensor () on the device of the matrices.
    """

    def __init__(self, matrices: Iterable[Tensor], lr: float | Tensor, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})
        for group in self.param_groups:
            shapes = {tuple(p.shape) for p in group["params"]}
            if len(shapes) != 1 or len(next(iter(shapes))) != 2:
                raise ValueError(f"matrices of one shape expected, got {sorted(shapes)}")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take a step along the gradients that the matrices have."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            matrices = group["params"]
            gradient = torch.stack([p.grad for p in matrices])
            state = self.state[matrices[0]]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(gradient)
                state["direction"] = torch.zeros_like(gradient)
                # As a tensor, so that a recorded step has the next half at its next replay.
                state["turn"] = torch.arange(0, len(matrices), 2, device=gradient.device)
            momentum, direction, turn = state["momentum"], state["direction"], state["turn"]
            decay = group["momentum"]
            torch.add(gradient, momentum, alpha=decay, out=momentum)
            ahead = gradient.index_select(0, turn)
            ahead.add_(momentum.index_select(0, turn), alpha=decay)  # Nesterov's
            direction.index_copy_(0, turn, orthogonalised(ahead))
            turn.add_(1).remainder_(len(matrices))
            torch._foreach_sub_(matrices, (direction * group["lr"]).unbind())


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return matrices (L, n, m), n <= m, with their singular values brought near to 1, float32."""
    a, b, c = COEFFICIENTS
    X = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    X = X.to(layer_type(X.device))  # the result need not be exact, and the products are most of the work
    for _ in range(ROUNDS):
        A = X @ X.mT
        polynomial = torch.baddbmm(A, A, A, beta=b, alpha=c)  # b A + c A²
        X = torch.baddbmm(X, polynomial, X, beta=a)
    found: Tensor = X.float()
    return found
