# SPDX-License-Identifier: Apache-2.0
"""How a process of ours ends when a signal interrupts it: without a traceback, with the status shells expect.

Nothing heavy is imported here: an entry point calls `catch_interrupts` before its other imports, so that
Ctrl-C ends it quietly while they still run. An import that is interrupted may end in another exception than
KeyboardInterrupt (in a compiled module mostly an ImportError), so the signal itself is remembered.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

AGAIN_S = 0.01

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
    sys.unraisablehook = _unraisable


def interrupted_status() -> int:
    """Return the exit status of an interrupted process, 128 and the signal's number; 0 where none came."""
    return 128 + _received[0] if _received else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Interrupt again where the first time was lost: Python only prints what a destructor raises."""
    if _received and unraisable.exc_type is KeyboardInterrupt:
        threading.Timer(AGAIN_S, os.kill, (os.getpid(), _received[0])).start()
    else:
        sys.__unraisablehook__(unraisable)
