# SPDX-License-Identifier: Apache-2.0
"""How much memory there is for the feature buffer, and how much a training took."""

from __future__ import annotations

import sys

import torch

MAX_SHARE = 0.5  # of the free memory that the buffer may take


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


def buffer_capacity(wanted: int, bytes_each: int, device: torch.device) -> int:
    """Return how many features to keep: as many as wanted, if they fit into the device's free memory."""
    free = free_bytes(device)
    return wanted if free is None else max(1, min(wanted, int(MAX_SHARE * free) // bytes_each))


def peak_memory_mb(device: torch.device) -> float:
    """Return the most memory that this process has had at once, on the device, in 10^6 bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    try:
        import resource
    except ImportError:  # not on Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
