# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import torch

from ace_ros.compute.threads import in_threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_however_long_each_takes() -> None:
    def work(index: int) -> int:
        time.sleep(0.02 * (index % 3 == 0))
        return 10 * index

    assert list(in_threads(work, range(30), CPU)) == [10 * i for i in range(30)]


def test_each_thread_keeps_to_one_core_and_the_caller_has_all_again_afterwards() -> None:
    assert set(in_threads(lambda _: torch.get_num_threads(), range(12), CPU)) == {1}
    assert torch.get_num_threads() == 3


def test_what_goes_wrong_is_raised_where_the_result_is_wanted() -> None:
    def work(index: int) -> int:
        if index == 4:
            raise ValueError("image 4")
        return index

    got = []
    with pytest.raises(ValueError, match="image 4"):
        for result in in_threads(work, range(1000), CPU):
            got.append(result)
    assert got == [0, 1, 2, 3] and torch.get_num_threads() == 3


def test_only_a_few_results_are_made_ahead() -> None:
    made = []
    results = in_threads(lambda i: made.append(i), range(1000), CPU)
    next(results)
    results.close()
    assert len(made) <= 7 and torch.get_num_threads() == 3
