# SPDX-License-Identifier: Apache-2.0
"""How programs end when a signal shuts ROS down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.executors import ExternalShutdownException


@contextmanager
def until_shutdown() -> Iterator[None]:
    """Leave quietly when a signal ends ROS, while a node is made as well as while it works."""
    try:
        yield
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        # What rclpy raises of a context that is no more has a type of its own in each rclpy.
        if rclpy.ok():
            raise
