# SPDX-License-Identifier: Apache-2.0
"""The progress of many chunks as that of one training."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from ace_ros.mapping.progress import Progress


class ProgressBoard:
    """Makes one Progress out of those of all chunks, which may come from several threads.

    The chunks begin when the share `begin` of the whole job is done.
    """

    def __init__(self, chunks: int, on_progress: Callable[[Progress], None], begin: float = 0.0) -> None:
        self._chunks, self._on_progress, self._begin = chunks, on_progress, begin
        self._latest: dict[int, Progress] = {}
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def update(self, number: int, progress: Progress) -> None:
        """Take the progress of one chunk and report that of all."""
        with self._lock:
            self._latest[number] = progress
            self._on_progress(self._whole(progress.phase))

    def _whole(self, phase: str) -> Progress:
        latest = list(self._latest.values())
        share = sum(p.progress for p in latest) / self._chunks
        elapsed = time.monotonic() - self._began
        trained = [p for p in latest if math.isfinite(p.median_error_px)]
        return Progress(
            phase,
            self._begin + (1.0 - self._begin) * share,
            sum(p.step for p in latest),
            round(sum(p.steps for p in latest) / len(latest) * self._chunks),
            elapsed,
            elapsed * (1.0 - share) / share if share > 0 else math.nan,
            sum(p.median_error_px for p in trained) / len(trained) if trained else math.nan,
            sum(p.inlier_share for p in trained) / len(trained) if trained else math.nan,
        )
