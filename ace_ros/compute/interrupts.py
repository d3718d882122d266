# SPDX-License-Identifier: Apache-2.0
"""How a process of ours ends when a signal interrupts it: without a traceback, with the status shells expect.

Nothing heavy is imported here: an entry point calls `catch_interrupts` before its other imports, so that
Ctrl-C ends it quietly while they still run. An import that is interrupted may end in another exception than
KeyboardInterrupt (in a compiled module mostly an ImportError), so the signal itself is remembered.
"""

from __future__ import annotations

import signal
from types import FrameType

_received: list[int] = []


def catch_interrupts(*numbers: signal.Signals) -> None:
    """Have signals raise KeyboardInterrupt in the main thread, which calls this; ignored ones stay ignored.

    Args:
        numbers: Which signals; SIGINT and SIGTERM by default.
    """
    _received.clear()
    for number in numbers or (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def interrupted_status() -> int:
    """Return the exit status of an interrupted process, 128 and the signal's number; 0 where none came."""
    return 128 + _received[0] if _received else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt
