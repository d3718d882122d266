# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from ace_ros.landmarks.peaks import best_cells


@pytest.mark.parametrize("things", [1, 40, 300])
def test_the_best_cells_are_those_of_an_exhaustive_search(things: int) -> None:
    similarity = torch.randn(things, 7, 11, generator=torch.Generator().manual_seed(things))
    best, cell, mutual = best_cells(similarity)
    flat = similarity.flatten(1)
    torch.testing.assert_close(best, flat.max(1).values)
    assert torch.equal(cell, flat.argmax(1))
    assert torch.equal(mutual, flat.argmax(0)[cell] == torch.arange(things))


def test_of_things_that_are_equally_similar_to_a_cell_one_has_it() -> None:
    similarity = torch.zeros(3, 2, 2)
    similarity[:, 1, 0] = 1.0
    _, cell, mutual = best_cells(similarity)
    assert cell.tolist() == [2, 2, 2] and mutual.tolist() == [True, False, False]
