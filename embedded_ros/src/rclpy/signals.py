# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM make every context invalid, so that spinning ends."""

from __future__ import annotations

import signal
import threading
from enum import IntEnum
from types import FrameType
from typing import Any

from .context import invalidate_all


class SignalHandlerOptions(IntEnum):
    """Which signals rclpy.init() handles."""

    NO = 0
    SIGINT = 1
    SIGTERM = 2
    ALL = 3


_replaced: dict[int, Any] = {}


def install_signal_handlers(
    options: SignalHandlerOptions = SignalHandlerOptions.ALL,
) -> None:
    """Install the handlers; only the main thread can, elsewhere nothing happens."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        if options & SignalHandlerOptions[number.name] and number not in _replaced:
            _replaced[number] = signal.signal(number, _handle)


def uninstall_signal_handlers() -> None:
    """Bring back the handlers that were there before."""
    if threading.current_thread() is not threading.main_thread():
        return
    while _replaced:
        number, handler = _replaced.popitem()
        signal.signal(number, handler)


def _handle(number: int, frame: FrameType | None) -> None:
    invalidate_all()
    before = _replaced.get(number)
    if callable(before):  # for SIGINT Python's own, which raises KeyboardInterrupt
        before(number, frame)
