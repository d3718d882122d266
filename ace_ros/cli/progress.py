# SPDX-License-Identifier: Apache-2.0
"""Progress of long work, for a person on a terminal."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ace_ros.cli.display import display

if TYPE_CHECKING:
    from ace_ros.mapping.progress import Progress


@contextmanager
def bar(title: str) -> Iterator[Callable[[Progress], None]]:
    """Show a training's Progress as a bar on stderr, or as a line now and then without a terminal."""
    with _show(title) as update:

        def on_progress(p: Progress) -> None:
            words = {"prepare": "encoding images", "grade": "localizing images held out"}.get(p.phase, "")
            if p.phase == "train":
                words = f"step {p.step}/{p.steps}"
                if math.isfinite(p.median_error_px):
                    words += f", median {p.median_error_px:.1f} px, {100 * p.inlier_share:.0f} % below 10 px"
            if math.isfinite(p.remaining_s):
                words += f", {p.remaining_s:.0f} s left"
            update(p.progress, words)

        yield on_progress


@contextmanager
def count_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show (done, total) as a bar on stderr."""
    with _show(title) as update:
        yield lambda done, total: update(done / max(total, 1), f"{done}/{total}")


@contextmanager
def _show(title: str) -> Iterator[Callable[[float, str], None]]:
    with display([title], sys.stderr, transient=True) as shown:
        shown.begin(title)
        yield shown.update
