# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from ace_ros.network.head import Head


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
