# SPDX-License-Identifier: Apache-2.0
"""How many features are kept, and on which device."""

from __future__ import annotations

import pytest
import torch

from ace_ros.compute import memory
from ace_ros.compute.memory import buffer_room, is_out_of_memory

CPU, GPU = torch.device("cpu"), torch.device("cuda:1")
MB = 10**6


@pytest.mark.parametrize(
    ("free_on_gpu", "free_in_ram", "expected"),
    [
        (8000, 100, (GPU, 2 * MB)),  # all that are wanted
        (8000, 64_000, (GPU, 2 * MB)),  # the device is nearer, if both have room
        (100, 64_000, (CPU, 2 * MB)),
        (100, 200, (CPU, 400_000)),  # neither has room for all
        (300, 200, (GPU, 600_000)),
        (None, 200, (GPU, 2 * MB)),  # a system that does not say
    ],
)
def test_features_are_kept_where_most_of_them_fit(
    free_on_gpu: int | None,
    free_in_ram: int,
    expected: tuple[torch.device, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = {GPU: None if free_on_gpu is None else free_on_gpu * MB, CPU: free_in_ram * MB}
    monkeypatch.setattr(memory, "free_bytes", free.__getitem__)
    assert buffer_room(2 * MB, 250, GPU) == expected


def test_training_on_the_cpu_keeps_them_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", {CPU: 100 * MB}.__getitem__)
    assert buffer_room(2 * MB, 250, CPU) == (CPU, 200_000)
    monkeypatch.setattr(memory, "free_bytes", {CPU: 0}.__getitem__)
    assert buffer_room(2 * MB, 250, CPU) == (CPU, 1)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_says_that_memory_ran_out_is_known(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
