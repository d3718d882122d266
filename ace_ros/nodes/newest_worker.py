# SPDX-License-Identifier: Apache-2.0
"""A thread that works on the newest item only, so that a slow step never builds up a delay."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class NewestWorker:
    """Calls `handle(item)` in a thread of its own; an item not begun is replaced by a newer one.

    What `handle` raises goes to `on_error`, and the thread goes on with the next item.
    """

    def __init__(self, handle: Callable[[Any], None], on_error: Callable[[BaseException], object]) -> None:
        self._handle, self._on_error = handle, on_error
        self._item: Any = None
        self._closing = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    def offer(self, item: Any) -> None:
        """Take an item, which is not None; never waits."""
        with self._wake:
            self._item = item
            self._wake.notify()

    def close(self) -> None:
        """End the thread after the item in work."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            try:
                self._work()
            except BaseException as error:  # SystemExit, too, would end the thread without a word
                self._on_error(error)

    def _work(self) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._item is not None or self._closing)
            item, self._item = self._item, None
        if not self._closing:
            self._handle(item)
