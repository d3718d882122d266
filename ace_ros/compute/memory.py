# SPDX-License-Identifier: Apache-2.0
"""How much memory there is for the feature buffer, and how much a training took."""

from __future__ import annotations

import sys
from contextlib import suppress

import torch

MAX_SHARE = 0.5  # of the free memory that the buffer may take
# What torch says of memory that it does not get, where the error has no type of its own.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "alloc_failed")


def free_bytes(device: torch.device) -> int | None:
    """Return the free memory of a device in bytes; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":", 1) for line in file)
        return 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None


def buffer_room(wanted: int, bytes_each: int, device: torch.device) -> tuple[torch.device, int]:
    """Return where to keep features and how many: as many as wanted, if half of the free memory takes them.

    On the device that trains, or in the computer's memory where more fit there: a batch is a
    megabyte, which is soon copied.
    """
    rooms = []
    for place in dict.fromkeys((device, torch.device("cpu"))):
        free = free_bytes(place)
        fit = wanted if free is None else max(1, min(wanted, int(MAX_SHARE * free) // bytes_each))
        rooms.append((place, fit))
    return max(rooms, key=lambda room: room[1])  # the first, if they are equal


def reset_peak_memory(device: torch.device) -> None:
    """Let `peak_memory_mb` count from now on, where the system can: on GPUs and on Linux."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_memory_mb(device: torch.device) -> float:
    """Return the most memory that this process has had at once, on the device, in 10^6 bytes.

    Counted from its start, or from `reset_peak_memory`.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    with suppress(OSError, KeyError, ValueError), open("/proc/self/status") as file:
        return int(dict(line.split(":", 1) for line in file)["VmHWM"].split()[0]) * 1024 / 1e6
    try:
        import resource
    except ImportError:  # not on Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on a processor or a GPU."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in OUT_OF_MEMORY)
