# SPDX-License-Identifier: Apache-2.0
"""What became of the newest image, for a service that waits for the next one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple


class Result(NamedTuple):
    """When an image was received (time.monotonic()), why it gave no pose, and a sentence."""

    received: float
    reason: int
    message: str


class NewestResult:
    """Holds the newest result; safe to be used from several threads."""

    def __init__(self, none: Result) -> None:
        self._result = none
        self._arrived = threading.Condition()

    def tell(self, result: Result) -> None:
        """Replace the result."""
        with self._arrived:
            self._result = result
            self._arrived.notify_all()

    def next(self, decides: Callable[[Result], bool], timeout_s: float) -> Result | None:
        """Return the first result that decides of an image received from now on; None after the timeout."""
        asked = time.monotonic()
        with self._arrived:
            in_time = self._arrived.wait_for(
                lambda: self._result.received >= asked and decides(self._result), timeout_s
            )
            return self._result if in_time else None
