# SPDX-License-Identifier: Apache-2.0
"""Settings of the process: threads that wait briefly, memory that is kept."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from ace_ros.compute.process import limit_threads, usable_cores, wait_briefly

ALLOCATE_AND_FREE = """
import resource
import torch
from ace_ros.compute.process import keep_memory
def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6
if {keep}:
    keep_memory()
before = resident_mb()
layers = [torch.ones(4_000_000) for _ in range(10)]
used = resident_mb()
del layers
print(used - before, resident_mb() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")
@pytest.mark.parametrize("keep", [True, False])
def test_freed_memory_stays_with_the_process_if_it_is_to_be_kept(keep: bool) -> None:
    code = ALLOCATE_AND_FREE.format(keep=keep)
    used_mb, left_mb = map(float, subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert used_mb > 150
    assert left_mb > 150 if keep else left_mb < 20


def test_threads_wait_briefly_unless_the_user_says_how() -> None:
    nothing: dict[str, str] = {}
    wait_briefly(nothing)
    assert int(nothing["GOMP_SPINCOUNT"]) < 10_000
    for theirs in ({"OMP_WAIT_POLICY": "passive"}, {"GOMP_SPINCOUNT": "7"}):
        environment = dict(theirs)
        wait_briefly(environment)
        assert environment == theirs


def test_half_of_the_cores_are_used_unless_a_number_is_given() -> None:
    before = torch.get_num_threads()
    try:
        limit_threads(3)
        assert torch.get_num_threads() == 3
        limit_threads()
        assert torch.get_num_threads() == max(1, usable_cores() // 2)
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_only_cores_that_the_process_may_use_count() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from ace_ros.compute.process import usable_cores; print(usable_cores())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "1"
