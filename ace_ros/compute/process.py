# SPDX-License-Identifier: Apache-2.0
"""What a process of ours sets before it works: how many threads, how they wait, which memory it keeps.

Only entry points call these: commands, nodes, workers. A program that imports the package keeps its own
settings; `keep_memory` is worth a call there, too, if it localizes on a processor.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import MutableMapping
from functools import lru_cache

# Settings of glibc's malloc (mallopt(3)) and the largest threshold that it takes on 64-bit machines.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 32 << 20
KEPT_BYTES = 256 << 20

_threads_are_ours = False


def limit_threads(threads: int = 0) -> None:
    """Let torch use so many processor threads in this process; 0: half of those there are.

    Half is for a node beside others: on busy cores threads wait for each other, and the networks
    here are small. A process that only trains takes `usable_cores`. From then on training may use
    fewer where they are faster.
    """
    import torch  # not at the top: `wait_briefly` has to be called before

    global _threads_are_ours
    _threads_are_ours = True
    torch.set_num_threads(threads or max(1, usable_cores() // 2))


def threads_are_ours() -> bool:
    """Return whether an entry point said how many threads this process has."""
    return _threads_are_ours


def usable_cores() -> int:
    """Return how many processor cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads that wait for each other spin for some microseconds only; call it before torch is imported.

    Threads that spin on take the cores from what else runs: beside a busy process two of them are twice
    as slow as two that do not. Without any spinning a training step on an idle machine takes a third longer.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", "2000")


@lru_cache(maxsize=1)
def keep_memory() -> None:
    """Keep up to 256 MB of freed memory for what is allocated next, where the C library is glibc.

    Each layer's output is allocated and freed, a megabyte or more; by default that memory goes back to the
    system every time, and its pages are mapped and cleared anew: a tenth of the time of a training step,
    a third of the pose solver's on a CPU.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
