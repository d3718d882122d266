# SPDX-License-Identifier: Apache-2.0
"""Futures: results that come later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Future:
    """A result that comes later; thread-safe. Callbacks run where the result is set."""

    def __init__(self, *, executor: Any = None) -> None:
        self._done = False
        self._cancelled = False
        self._result: Any = None
        self._exception: BaseException | None = None
        self._callbacks: list[Callable[[Future], Any]] = []
        self._lock = threading.Lock()

    def done(self) -> bool:
        """Return whether there is a result or an exception."""
        return self._done

    def cancelled(self) -> bool:
        """Return whether cancel() came before a result."""
        return self._cancelled

    def cancel(self) -> None:
        """Give up waiting, unless already done."""
        with self._lock:
            if self._done:
                return
            self._cancelled = True
        self._call_callbacks()

    def result(self) -> Any:
        """Return the result (None while there is none), or raise the exception."""
        if self._exception is not None:
            raise self._exception
        return self._result

    def exception(self) -> BaseException | None:
        """Return the exception, if that is how it ended."""
        return self._exception

    def set_result(self, result: Any) -> None:
        """Set the result and call the callbacks."""
        with self._lock:
            self._result = result
            self._done = True
            self._cancelled = False
        self._call_callbacks()

    def set_exception(self, exception: BaseException) -> None:
        """Set the exception and call the callbacks."""
        with self._lock:
            self._exception = exception
            self._done = True
            self._cancelled = False
        self._call_callbacks()

    def add_done_callback(self, callback: Callable[[Future], Any]) -> None:
        """Call `callback` with this future once it is done, at once if it is already."""
        with self._lock:
            if not (self._done or self._cancelled):
                self._callbacks.append(callback)
                return
        callback(self)

    def remove_done_callback(self, callback: Callable[[Future], Any]) -> bool:
        """Forget a callback; return whether it was there."""
        with self._lock:
            before = len(self._callbacks)
            self._callbacks = [c for c in self._callbacks if c != callback]
            return len(self._callbacks) != before

    def _call_callbacks(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)
