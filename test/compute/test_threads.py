# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from ace_ros.compute.threads import in_threads, one_thread

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_however_long_each_takes() -> None:
    done = [threading.Event() for _ in range(30)]

    def work(index: int) -> int:
        if index % 3 == 0:  # it is done after the two that follow
            assert done[index + 1].wait(30.0) and done[index + 2].wait(30.0)
        done[index].set()
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


def test_a_block_within_another_leaves_one_core_until_the_outer_one_ends() -> None:
    with one_thread(CPU):
        with one_thread(CPU):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_blocks_of_two_threads_that_overlap_leave_every_thread_as_it_was() -> None:
    entered, left = threading.Event(), threading.Event()

    def second() -> tuple[int, int]:
        with one_thread(CPU):
            entered.set()
            assert left.wait(10.0)
            inside = torch.get_num_threads()
        return inside, torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        with one_thread(CPU):
            later = pool.submit(second)
            assert entered.wait(10.0)
        left.set()  # the first block has ended, the second goes on
        assert torch.get_num_threads() == 3
        assert later.result() == (1, 3)
    with ThreadPoolExecutor(1) as pool:  # a thread that never was in a block
        assert pool.submit(torch.get_num_threads).result() == 3
    with one_thread(CPU):
        pass
    assert torch.get_num_threads() == 3
