# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from ace_ros.compute import precision
from ace_ros.mapping.head.optimizer import Muon, orthogonalised


def test_singular_values_are_brought_near_to_one() -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(3, 64, 64, generator=generator) * torch.tensor([1e-6, 1.0, 1e4])[:, None, None]
    before, after = torch.linalg.svdvals(matrices), torch.linalg.svdvals(orthogonalised(matrices))
    assert float((before[:, 0] / before[:, 32]).min()) > 1.8
    assert float((after[:, 0] / after[:, 32]).max()) < 1.8
    assert 0.3 < float(after.median()) < 1.3


def test_singular_vectors_are_kept() -> None:
    U, S, V = torch.linalg.svd(torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(1)))
    inside = U.mT @ orthogonalised(U @ torch.diag_embed(S) @ V) @ V.mT
    assert float((inside - torch.diag_embed(inside.diagonal(dim1=1, dim2=2))).abs().max()) < 0.05


def test_a_zero_gradient_moves_nothing() -> None:
    weight = torch.nn.Parameter(torch.randn(8, 8))
    weight.grad = torch.zeros(8, 8)
    before = weight.detach().clone()
    Muon([weight], lr=0.1).step()
    torch.testing.assert_close(weight.detach(), before)


def test_weak_directions_learn_as_fast_as_strong_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    strength = torch.cat([torch.ones(8), torch.full((8,), 0.05)])  # of the inputs, so of the gradient
    inputs = torch.randn(512, 16, generator=generator) * strength
    true = torch.linalg.qr(torch.randn(16, 16, generator=generator))[0]

    def error_of_weak_rows(optimizer: type[torch.optim.Optimizer], lr: float) -> float:
        weight = torch.nn.Parameter(torch.zeros(16, 16))
        steps = optimizer([weight], lr=lr)
        for i in range(100):
            steps.param_groups[0]["lr"] = lr * (1 - i / 100)
            steps.zero_grad()
            (inputs @ (weight - true)).square().sum(1).mean().backward()
            steps.step()
        return float((weight.detach() - true)[8:].square().mean().sqrt() / true[8:].square().mean().sqrt())

    assert error_of_weak_rows(Muon, 0.1) < 0.2
    assert error_of_weak_rows(torch.optim.SGD, 0.4) > 0.5  # the largest rate that is stable


# Of bfloat16 near 1 is 0.004, and torch may round one matrix differently from one of many.
ROUNDING = 0.02


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_matrix_has_a_new_direction_in_every_second_step(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In bfloat16 a product of some matrices differs from that of one alone by more than is compared.
    monkeypatch.setattr(precision, "cpu_multiplies_bfloat16", lambda: False)
    generator = torch.Generator().manual_seed(count)
    weights = [torch.nn.Parameter(torch.zeros(16, 16)) for _ in range(count)]
    muon = Muon(weights, lr=1.0, momentum=0.0)
    steps, gradients = [], []
    for _ in range(5):
        gradients.append(torch.randn(count, 16, 16, generator=generator))
        before = torch.stack(weights).detach().clone()
        for weight, gradient in zip(weights, gradients[-1], strict=True):
            weight.grad = gradient
        muon.step()
        steps.append(before - torch.stack(weights).detach())
    for number in range(1, 5):
        for matrix in range(count):
            new, old = (orthogonalised(gradients[n][matrix, None])[0] for n in (number, number - 1))
            step = steps[number][matrix]
            is_new = torch.allclose(step, new, atol=ROUNDING)
            assert is_new != torch.allclose(step, old, atol=ROUNDING)
            assert is_new or torch.allclose(steps[number - 1][matrix], old, atol=ROUNDING)


def test_matrices_of_several_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape expected"):
        Muon([torch.zeros(2, 2), torch.zeros(3, 3)], lr=0.1)
