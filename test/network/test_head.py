# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from ace_ros.compute.precision import autocast
from ace_ros.network.head import Head
from ace_ros.network.head_ensemble import HeadEnsemble

SHAPES = [(128, 256, 1), (16, 32, 0), (24, 32, 3)]


def test_scaling_the_points_multiplies_what_the_head_returns() -> None:
    torch.manual_seed(0)
    head = Head(16, 32, 1)
    features = torch.randn(5, 7, 16)
    with torch.no_grad():
        before = head(features)
        head.scale_points(250.0)
        torch.testing.assert_close(head(features), 250.0 * before, atol=1e-4, rtol=1e-4)


def test_hidden_matrices_are_all_square_ones_but_not_the_first_and_last() -> None:
    head = Head(32, 32, 2)
    hidden = head.hidden_matrices()
    assert [tuple(m.shape) for m in hidden] == [(32, 32)] * (3 * 3 + 2)
    ids = {id(m) for m in hidden}
    assert id(head.entry.weight) not in ids and id(head.output.weight) not in ids


def untrained(count: int, shape: tuple[int, int, int]) -> list[Head]:
    torch.manual_seed(1)
    heads = [Head(*shape).eval().requires_grad_(False) for _ in range(count)]
    for number, head in enumerate(heads):
        head.scale_points(5.0 + number)
    return heads


@pytest.mark.parametrize("shape", SHAPES)
def test_many_heads_as_one_product_give_what_each_gives_alone(shape: tuple[int, int, int]) -> None:
    heads = untrained(5, shape)
    features = torch.randn(1, 300, shape[0])
    device = torch.device("cpu")
    with torch.inference_mode():
        together = HeadEnsemble(heads, device)(features)
        with autocast(device):
            alone = torch.cat([head(features) for head in heads])
    assert together.dtype == torch.float32 and together.shape == (5, 300, 3)
    # Half precision rounds sums of another order differently; other heads are metres away.
    torch.testing.assert_close(together, alone, atol=0.02, rtol=0)
    assert float((together[0] - together[1]).norm(dim=1).median()) > 0.2


def test_chosen_heads_see_their_own_features() -> None:
    heads = untrained(4, (16, 32, 1))
    ensemble = HeadEnsemble(heads, torch.device("cpu"))
    features = torch.randn(3, 50, 16)
    with torch.inference_mode():
        chosen = ensemble(features, torch.tensor([2, 0, 2]))
        for row, head in enumerate((2, 0, 2)):
            everyone = ensemble(features[row : row + 1])
            torch.testing.assert_close(chosen[row], everyone[head], atol=1e-4, rtol=0)


def test_heads_of_different_shapes_are_no_ensemble() -> None:
    with pytest.raises(ValueError, match="heads of one shape expected, got"):
        HeadEnsemble([Head(16, 32, 1), Head(16, 64, 1)], torch.device("cpu"))
