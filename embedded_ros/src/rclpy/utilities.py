# SPDX-License-Identifier: Apache-2.0
"""The default context, and what the command line leaves for the program."""

from __future__ import annotations

import sys
import threading

from embedded_ros import arguments

from .context import Context

_lock = threading.Lock()
_default: Context | None = None


def get_default_context() -> Context:
    """Return the context that is used where none is named."""
    global _default
    with _lock:
        if _default is None:
            _default = Context()
        return _default


def ok(*, context: Context | None = None) -> bool:
    """Return whether a context is initialized and not shut down."""
    return (get_default_context() if context is None else context).ok()


def remove_ros_args(args: list[str] | None = None) -> list[str]:
    """Return a command line without the arguments to ROS."""
    return arguments.split(sys.argv if args is None else args)[1]


def get_rmw_implementation_identifier() -> str:
    """Return the name of the middleware."""
    return "embedded_ros_zenoh"
