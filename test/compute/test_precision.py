# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch

from ace_ros.compute.precision import full_precision


def test_full_precision_is_put_back() -> None:
    before = torch.get_float32_matmul_precision()
    with full_precision():
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.filterwarnings("ignore:.*TF32.*")
def test_blocks_that_overlap_leave_the_precision_as_it_was() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        first, second = ExitStack(), ExitStack()
        first.enter_context(full_precision())
        second.enter_context(full_precision())
        first.close()
        assert torch.get_float32_matmul_precision() == "highest"  # the second still needs it
        second.close()
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
