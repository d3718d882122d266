# SPDX-License-Identifier: Apache-2.0
"""The number of threads that is fastest, found while training goes on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch

from ace_ros.compute import thread_choice
from ace_ros.compute.thread_choice import PERIOD, with_fastest_threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


class Machine:
    """A machine on which a step takes so long with each number of threads."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds, self.now = seconds, 0.0

    def perf_counter(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += self.seconds[torch.get_num_threads()]


def threads_of(machine: Machine, steps: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    monkeypatch.setattr(thread_choice, "time", machine)
    chosen = []
    for _ in with_fastest_threads(range(steps), CPU):
        chosen.append(torch.get_num_threads())
        machine.work()
    return chosen


@pytest.mark.parametrize("best", [1, 2, 4])
def test_most_steps_have_the_fastest_number_of_threads(best: int, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine({n: 0.02 + 0.001 * abs(n - best) for n in (1, 2, 4)})
    chosen = threads_of(machine, PERIOD, monkeypatch)
    assert set(chosen) == {1, 2, 4} and set(chosen[30:]) == {best}
    assert torch.get_num_threads() == 4


def test_a_machine_that_becomes_busy_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine({4: 0.01, 2: 0.02, 1: 0.04})
    monkeypatch.setattr(thread_choice, "time", machine)
    chosen = []
    for number in with_fastest_threads(range(2 * PERIOD), CPU):
        if number == PERIOD // 2:
            machine.seconds = {4: 0.09, 2: 0.05, 1: 0.04}
        chosen.append(torch.get_num_threads())
        machine.work()
    assert chosen[PERIOD - 1] == 4 and chosen[-1] == 1


def test_threads_are_put_back_when_training_ends_early() -> None:
    for number in with_fastest_threads(itertools.count(), CPU):
        if number == 7:
            assert torch.get_num_threads() != 4
            break
    assert torch.get_num_threads() == 4


def test_nothing_is_tried_where_nothing_can_be_gained() -> None:
    torch.set_num_threads(1)
    assert {torch.get_num_threads() for _ in with_fastest_threads(range(20), CPU)} == {1}
    torch.set_num_threads(4)
    on_gpu = with_fastest_threads(range(20), torch.device("cuda"))
    assert {torch.get_num_threads() for _ in on_gpu} == {4}
