# SPDX-License-Identifier: Apache-2.0
"""What a person sees while the demo works: bars on a terminal, lines without one."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import IO, Any, Protocol

# The launch file names the terminal that it was started on: a launched program's own output is a pipe.
TERMINAL_VARIABLE = "ACE_ROS_DEMO_TERMINAL"
LINE_EVERY_S = 10.0


class Display(Protocol):
    """Shows phases one after the other."""

    def begin(self, phase: str) -> None:
        """Begin a phase; the one before is done."""

    def update(self, share: float, words: str) -> None:
        """Show how far (0 to 1) the phase is, and a few words about it."""

    def end(self, words: str) -> None:
        """End the phase."""


@contextlib.contextmanager
def display(phases: Sequence[str]) -> Iterator[Display]:
    """Yield a display for the phases named."""
    with _terminal() as terminal:
        bars = None if terminal is None else _bars(terminal, phases)
        if bars is None:
            yield Lines(phases)
            return
        with bars.progress:
            yield bars


class Lines:
    """Lines of text, one every LINE_EVERY_S seconds."""

    def __init__(self, phases: Sequence[str]) -> None:
        self._phases = list(phases)
        self._phase = ""
        self._begun = self._shown = 0.0

    def begin(self, phase: str) -> None:
        """Begin a phase."""
        self._phase, self._begun = phase, time.monotonic()
        self._shown = self._begun
        number = self._phases.index(phase) + 1
        print(f"[{number}/{len(self._phases)}] {phase}", flush=True)

    def update(self, share: float, words: str) -> None:
        """Print a line where the last one is old."""
        now = time.monotonic()
        if now - self._shown >= LINE_EVERY_S:
            self._shown = now
            print(f"      {100 * share:3.0f} %  {words}", flush=True)

    def end(self, words: str) -> None:
        """Print what came out."""
        print(f"      done in {time.monotonic() - self._begun:.0f} s: {words}", flush=True)


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


def _bars(terminal: IO[str], phases: Sequence[str]) -> Bars | None:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:  # rich is optional
        return None
    columns = (
        TextColumn("{task.description:<26}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}", style="dim"),
    )
    console = Console(file=terminal, force_terminal=True)
    return Bars(Progress(*columns, console=console, refresh_per_second=5), phases)


@contextlib.contextmanager
def _terminal() -> Iterator[IO[str] | None]:
    """Yield the terminal to draw on, None where there is none."""
    if sys.stdout.isatty():
        yield sys.stdout
        return
    try:
        # O_NOCTTY: it must not become this process's controlling terminal.
        descriptor = os.open(os.environ.get(TERMINAL_VARIABLE, ""), os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        yield None
        return
    with os.fdopen(descriptor, "w") as terminal:
        yield terminal if terminal.isatty() else None
