# SPDX-License-Identifier: Apache-2.0
"""Threads of small work: one core each, several at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from ace_ros.compute.process import usable_cores

Item = TypeVar("Item")

MAX_THREADS = 8  # that keep a GPU busy


class _Here(threading.local):
    """What is known of this thread: whether its work is kept on one core."""

    on_one_core = False


# torch has one number for all threads that have not used it yet, and one for each that has; to set
# the latter sets the former. Blocks of different threads overlap: what the first one of them found
# is the process's number.
_here = _Here()
_lock = threading.Lock()
_blocks = 0
_of_process = 0


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Keep the work of this thread on one core, if it is a CPU's.

    The operations are many and small. Shared between cores they gain little on an idle machine,
    and on a busy one, such as a robot's, each waits for the other core: a hundred times longer.
    At the end of the block this thread has the threads that it had.
    """
    global _blocks, _of_process
    if device.type != "cpu" or _here.on_one_core:
        yield
        return
    with _lock:
        own = torch.get_num_threads()
        if _blocks == 0:
            _of_process = own
        elif own == 1:  # this thread took over the one of a block that is open
            own = _of_process
        _blocks += 1
        torch.set_num_threads(1)
    _here.on_one_core = True
    try:
        yield
    finally:
        _here.on_one_core = False
        with _lock:
            _blocks -= 1
            torch.set_num_threads(own)


def _stay_on_one_core() -> None:
    """Keep a thread on one core for good; within a block of the thread that starts it."""
    torch.set_num_threads(1)
    _here.on_one_core = True


def in_threads(work: Callable[[int], Item], indices: Iterable[int], device: torch.device) -> Iterator[Item]:
    """Yield what `work` returns for indices, in their order, done on a device by several threads.

    On a CPU there are as many as torch would use, and each keeps to one core: a network's small layers
    and small images gain little from being shared between cores. Results are made a few ahead of
    the one that is asked for. What `work` raises is raised here.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else min(MAX_THREADS, usable_cores())
    begin = _stay_on_one_core if device.type == "cpu" else None
    with one_thread(device), ThreadPoolExecutor(threads, initializer=begin) as pool:
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
