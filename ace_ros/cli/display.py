# SPDX-License-Identifier: Apache-2.0
"""What a person sees while something long works: bars on a terminal, lines without one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, Protocol

LINE_EVERY = 0.1  # share of a phase between two lines


class Display(Protocol):
    """Shows phases one after the other."""

    def begin(self, phase: str) -> None:
        """Begin a phase; the one before is done."""

    def update(self, share: float, words: str) -> None:
        """Show how far (0 to 1) the phase is, and a few words about it."""

    def end(self, words: str) -> None:
        """End the phase."""


@contextmanager
def display(phases: Sequence[str], stream: IO[str], transient: bool = False) -> Iterator[Display]:
    """Yield a display for the phases named, on a stream; bars that are `transient` go when all is done."""
    bars = _bars(phases, stream, transient) if stream.isatty() else None
    if bars is None:
        yield Lines(phases, stream)
        return
    with bars.progress:
        yield bars


class Lines:
    """Lines of text, one for every tenth of a phase."""

    def __init__(self, phases: Sequence[str], stream: IO[str]) -> None:
        self._phases, self._stream = list(phases), stream
        self._phase = ""
        self._begun, self._shown = 0.0, -1.0

    def begin(self, phase: str) -> None:
        """Begin a phase, with a heading where there are several."""
        self._phase, self._begun, self._shown = phase, time.monotonic(), -1.0
        if len(self._phases) > 1:
            self._say(f"[{self._phases.index(phase) + 1}/{len(self._phases)}] {phase}")

    def update(self, share: float, words: str) -> None:
        """Print a line where the last one is a tenth of the work ago, and at the end."""
        if share - self._shown >= LINE_EVERY or share >= 1.0 > self._shown:
            self._shown = share
            self._say(f"{self._phase}: {100 * share:3.0f} %, {words}")

    def end(self, words: str) -> None:
        """Print what came out."""
        self._say(f"{self._phase}: done in {time.monotonic() - self._begun:.0f} s: {words}")

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class Bars:
    """A bar for each phase, with rich."""

    def __init__(self, progress: Any, phases: Sequence[str]) -> None:
        self.progress = progress
        self._tasks = {phase: progress.add_task(phase, total=1.0, start=False, words="") for phase in phases}
        self._task: Any = None

    def begin(self, phase: str) -> None:
        """Start the phase's bar."""
        self._task = self._tasks[phase]
        self.progress.start_task(self._task)

    def update(self, share: float, words: str) -> None:
        """Move the bar."""
        self.progress.update(self._task, completed=min(max(share, 0.0), 1.0), words=words)

    def end(self, words: str) -> None:
        """Fill the bar and stop its clock."""
        self.progress.update(self._task, completed=1.0, words=words)
        self.progress.stop_task(self._task)


def _bars(phases: Sequence[str], stream: IO[str], transient: bool) -> Bars | None:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:  # rich is optional: the core needs torch, numpy, opencv, safetensors alone
        return None
    width = max(map(len, phases))
    columns = (
        TextColumn(f"{{task.description:<{width}}}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}", style="dim"),
    )
    console = Console(file=stream, force_terminal=True)
    return Bars(Progress(*columns, console=console, refresh_per_second=5, transient=transient), phases)
