# SPDX-License-Identifier: Apache-2.0
"""A context: the connection and the command line that nodes share."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from embedded_ros import arguments
from embedded_ros.link import Link

from ._rclpy_pybind11 import RCLError
from .logging import get_logging_severity_from_string, set_logger_level

MAX_DOMAIN_ID = 232

_contexts: weakref.WeakSet[Context] = weakref.WeakSet()


class Context:
    """Connects nodes to the network from init() to shutdown()."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._link: Link | None = None
        self._valid = False
        self._callbacks: list[Any] = []
        self._arguments = arguments.RosArguments()

    def init(
        self,
        args: list[str] | None = None,
        *,
        initialize_logging: bool = True,
        domain_id: int | None = None,
    ) -> None:
        """Connect; args default to sys.argv, the domain to $ROS_DOMAIN_ID or 0."""
        with self._lock:
            if self._link is not None and not self._link.closed:
                raise RuntimeError("Context.init() must only be called once")
            self._arguments = arguments.parse(sys.argv if args is None else args)
            if initialize_logging:
                for name, level in self._arguments.log_levels:
                    set_logger_level(name, get_logging_severity_from_string(level))
            self._link = Link(_domain(domain_id))
            self._valid = True
            _contexts.add(self)

    def ok(self) -> bool:
        """Return whether the context is initialized and not shut down."""
        return self._valid

    def get_domain_id(self) -> int:
        """Return the domain."""
        return self.link.domain

    @property
    def link(self) -> Link:
        """Return the connection; raise RCLError if init() was not called."""
        if self._link is None:
            raise RCLError("the context is not initialized")
        return self._link

    def shutdown(self) -> None:
        """End the connection; raise if it is ended or was never there."""
        with self._lock:
            if self._link is None:
                raise RuntimeError("Context must be initialized before it can be shutdown")
            if not self._valid:
                raise RCLError(
                    "failed to shutdown: rcl_shutdown already called on the given context"
                )
        self.try_shutdown()

    def try_shutdown(self) -> None:
        """End the connection if there is one."""
        self._invalidate()
        if self._link is not None:
            self._link.close()

    def on_shutdown(self, callback: Callable[[], None]) -> None:
        """Call `callback` at shutdown; a method's object may be gone by then."""
        is_method = hasattr(callback, "__self__")
        self._callbacks.append(
            weakref.WeakMethod(callback) if is_method else (lambda: callback)  # type: ignore[arg-type]
        )

    def __enter__(self) -> Context:
        self.init()
        return self

    def __exit__(self, *_: object) -> None:
        self.try_shutdown()

    def _invalidate(self) -> None:
        """Make ok() false and wake who waits. Called from signal handlers: closes nothing."""
        with self._lock:
            if not self._valid:
                return
            self._valid = False
            callbacks, self._callbacks = self._callbacks, []
        for reference in callbacks:
            callback = reference()
            if callback is not None:
                callback()


def invalidate_all() -> None:
    """Make every context of this process invalid."""
    for context in list(_contexts):
        context._invalidate()


def _domain(domain_id: int | None) -> int:
    text = os.environ.get("ROS_DOMAIN_ID") or "0" if domain_id is None else str(domain_id)
    if not text.isdecimal() or int(text) > MAX_DOMAIN_ID:
        raise RCLError(f"the domain id must be an integer from 0 to {MAX_DOMAIN_ID}, got {text!r}")
    return int(text)
