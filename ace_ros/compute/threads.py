# SPDX-License-Identifier: Apache-2.0
"""Threads of small work: one core each, several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from ace_ros.compute.process import usable_cores

Item = TypeVar("Item")

MAX_THREADS = 8  # that keep a GPU busy


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Keep the work of this thread on one core, if it is a CPU's.

    The operations are many and small. Shared between cores they gain little on an idle machine,
    and on a busy one, such as a robot's, each waits for the other core: a hundred times longer.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_threads(
    work: Callable[[int], Item], indices: Iterable[int], device: torch.device
) -> Iterator[Item]:
    """Yield what `work` returns for indices, in their order, done on a device by several threads.

    On a CPU there are as many as torch would use, and each keeps to one core: a network's small layers
    and small images gain little from being shared between cores. Results are made a few ahead of
    the one that is asked for. What `work` raises is raised here.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else min(MAX_THREADS, usable_cores())
    with one_thread(device), ThreadPoolExecutor(threads) as pool:
        coming: deque[Future[Item]] = deque()
        try:
            for index in indices:
                coming.append(pool.submit(work, index))
                if len(coming) > 2 * threads:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
