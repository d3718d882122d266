# SPDX-License-Identifier: Apache-2.0
"""How many processor threads make a training step fastest: tried again and again while training."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch

Step = TypeVar("Step")

TRIED_STEPS = 4  # with each number of threads; the first after a change does not count
PERIOD = 200  # steps from one trial to the next


def with_fastest_threads(steps: Iterable[Step], device: torch.device) -> Iterator[Step]:
    """Yield steps, each with as many of torch's threads as are fastest now: all, half of them, a quarter ...

    All of them are, on an idle machine, if they are few. Beside a busy process they wait for the one that
    has no core, after every one of a step's two hundred operations, and one is faster than two. A step is
    over when the next is asked for; at the end torch has the threads that it had.
    """
    most = torch.get_num_threads()
    if device.type != "cpu" or most == 1:
        yield from steps
        return
    plan = [most >> halvings for halvings in range(most.bit_length()) for _ in range(1 + TRIED_STEPS)]
    seconds: dict[int, list[float]] = defaultdict(list)
    try:
        for number, step in enumerate(steps):
            place = number % PERIOD
            if place < len(plan):
                torch.set_num_threads(plan[place])
            elif place == len(plan):
                torch.set_num_threads(min(seconds, key=lambda n: statistics.median(seconds[n])))
                seconds.clear()
            began = time.perf_counter()
            yield step
            if place < len(plan) and place % (1 + TRIED_STEPS):
                seconds[plan[place]].append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(most)
