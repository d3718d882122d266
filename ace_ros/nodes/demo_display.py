# SPDX-License-Identifier: Apache-2.0
"""Where a person sees the demo's progress: on the terminal that it was launched from, if there is one."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import IO

from ace_ros.cli import display as progress

# The launch file names the terminal that it was started on: a launched program's own output is a pipe.
TERMINAL_VARIABLE = "ACE_ROS_DEMO_TERMINAL"


@contextlib.contextmanager
def display(phases: Sequence[str]) -> Iterator[progress.Display]:
    """Yield a display for the phases named."""
    with _terminal() as terminal, progress.display(phases, terminal or sys.stdout) as shown:
        yield shown


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
