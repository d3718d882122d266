# SPDX-License-Identifier: Apache-2.0
"""What processes take while they work: memory, handles, threads and processor time, tenth by tenth."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TENTHS = 10
MORE_MB = 20.0
LOOKS = 20


@dataclass(frozen=True)
class Sample:
    """What a process had at the end of a tenth, and what an item took: NaN where not measured."""

    memory_mb: float
    handles: int
    threads: int
    processor_ms: float
    latency_ms: float


class Watched:
    """A process that is looked at after each tenth."""

    def __init__(self, name: str, pid: int) -> None:
        self.name, self._pid = name, pid
        self.samples: list[Sample] = []
        self._processor_s = self._processor()

    def _processor(self) -> float:
        return time.clock_gettime((~self._pid << 3) | 2)  # Linux: the clock of all threads of a process

    def begin(self) -> None:
        """Count the processor's time from now on."""
        self._processor_s = self._processor()

    def look(self, items: int, latency_ms: float) -> None:
        """Take a sample after so many items."""
        proc, spent = Path(f"/proc/{self._pid}"), self._processor()
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        self.samples.append(
            Sample(
                memory_mb=int(status["VmRSS"].split()[0]) / 1024,
                # The least of a few looks: a file may just be written.
                handles=min(len(os.listdir(proc / "fd")) for _ in range(LOOKS)),
                threads=int(status["Threads"]),
                processor_ms=1e3 * (spent - self._processor_s) / max(1, items),
                latency_ms=latency_ms,
            )
        )
        self._processor_s = spent

    def complaints(self, slower: float) -> list[str]:
        """Return what grew, in words."""
        first, later = self.samples[0], self.samples[1:]
        found = []
        more_mb = max(s.memory_mb for s in later) - first.memory_mb
        if more_mb > MORE_MB:
            found.append(f"memory grew by {more_mb:.1f} MB, at most {MORE_MB:.0f} MB are allowed")
        for what in ("handles", "threads"):
            most = max(getattr(s, what) for s in later)
            if most > getattr(first, what):
                found.append(f"{what} grew from {getattr(first, what)} to {most}")
        ratio = later[-1].processor_ms / first.processor_ms
        if ratio > slower:
            found.append(f"an image took {ratio:.2f} times as long at the end, at most {slower} is allowed")
        return [f"{self.name}: {what}" for what in found]


def endure(watched: list[Watched], total: int, step: Callable[[], tuple[int, float]]) -> None:
    """Do steps, each some items with a latency in ms, and look at the processes after each tenth."""
    for process in watched:
        process.begin()
    done = 0
    for tenth in range(1, TENTHS + 1):
        before, latencies = done, []
        while done < total * tenth / TENTHS or not latencies:
            items, latency_ms = step()
            done += items
            latencies.append(latency_ms)
        for process in watched:
            process.look(done - before, float(np.nanmedian(latencies)))
            newest = process.samples[-1]
            print(
                f"{process.name:10} {tenth:6d} {newest.memory_mb:10.1f} {newest.handles:8d} "
                f"{newest.threads:8d} {newest.processor_ms:13.2f} {newest.latency_ms:11.1f}",
                flush=True,
            )
