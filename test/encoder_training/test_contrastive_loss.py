# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.encoder_training.contrastive_loss import ContrastiveResult, Matches, contrastive_loss
from ace_ros.network.encoder import cell_centres


def run(first: Tensor, second: Tensor, matches: Matches, neighbour_px: float = 4.0) -> ContrastiveResult:
    return contrastive_loss(
        first,
        second,
        matches,
        stride=8,
        temperature=0.1,
        neighbour_px=neighbour_px,
        anchors=1000,
        generator=torch.Generator().manual_seed(0),
    )


def same_place(batch: int, h: int, w: int) -> Matches:
    centres = cell_centres(h * 8, w * 8, 8)
    return Matches(centres.expand(batch, -1, -1), torch.ones(batch, h * w, dtype=torch.bool))


def features(seed: int) -> Tensor:
    return torch.randn(2, 64, 6, 7, generator=torch.Generator().manual_seed(seed))


def test_equal_features_match_and_random_ones_do_not() -> None:
    matches = same_place(2, 6, 7)
    equal, other = run(features(0), features(0), matches), run(features(0), features(1), matches)
    assert float(equal.matched) == 1.0
    assert float(equal.loss) < 0.1 < 3.0 < float(other.loss)
    assert float(other.matched) < 0.15


def test_the_loss_is_infonce() -> None:
    first, second = features(0), features(1)
    found = run(first, second, same_place(2, 6, 7)).loss
    a, b = (F.normalize(f.flatten(2).transpose(1, 2).reshape(-1, 64), dim=-1) for f in (first, second))
    expected = F.cross_entropy(a @ b.T / 0.1, torch.arange(len(a)))
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.01)  # similarities are bfloat16


def test_a_positive_is_interpolated_at_the_exact_match() -> None:
    second = features(2)
    # Half a cell to the right and a quarter down: a mixture of four cells.
    shifted = 0.75 * (0.5 * second[:, :, :-1, :-1] + 0.5 * second[:, :, :-1, 1:])
    shifted = shifted + 0.25 * (0.5 * second[:, :, 1:, :-1] + 0.5 * second[:, :, 1:, 1:])
    first = F.pad(shifted, (0, 1, 0, 1))
    centres = cell_centres(48, 56, 8) + torch.tensor([4.0, 2.0])
    inside = (centres[:, 0] < 52) & (centres[:, 1] < 44)
    result = run(first, second, Matches(centres.expand(2, -1, -1), inside.expand(2, -1)), neighbour_px=8.0)
    assert float(result.matched) == 1.0


def test_cells_around_the_match_are_no_negatives() -> None:
    second = features(3).repeat_interleave(2, 3)  # every two neighbours look the same
    matches = same_place(2, 6, 14)
    strict, lenient = run(second, second, matches, 4.0), run(second, second, matches, 9.0)
    assert float(strict.loss) > 0.5 > float(lenient.loss)


def test_hidden_cells_are_no_anchors() -> None:
    matches = same_place(2, 6, 7)
    first, second = features(0), features(0).clone()
    second[:, :, 0] = 5.0
    visible = matches.visible.clone()
    visible[:, :7] = False
    result = run(first, second, Matches(matches.pixels, visible))
    assert float(result.matched) == 1.0


def test_the_gradient_reaches_both_views() -> None:
    first, second = features(0).requires_grad_(), features(1).requires_grad_()
    run(first, second, same_place(2, 6, 7)).loss.backward()
    assert first.grad is not None and second.grad is not None
    assert first.grad.abs().sum() > 0 and second.grad.abs().sum() > 0
