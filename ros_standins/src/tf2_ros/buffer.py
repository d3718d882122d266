# SPDX-License-Identifier: Apache-2.0
"""The buffer: all transforms of the last seconds, to be asked for at any time."""

from __future__ import annotations

import math
import threading
import time as steady
from collections.abc import Callable
from typing import TypeVar

from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.time import Time

from .rigid import Rigid, normalize
from .tree import Link, TransformException, Tree

NO_WAIT = Duration()
Found = TypeVar("Found")


class Buffer:
    """Thread-safe. Filled by a TransformListener, or by hand with set_transform().

    The original offers a service of `node`; this one has no use for it.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        self._tree = Tree((cache_time or Duration(seconds=10)).nanoseconds)
        self._changed = threading.Condition()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform at its stamp; one that is no use is left out with a warning."""
        self._insert(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that holds at all times."""
        self._insert(transform, authority, static=True)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time | TimeMessage, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """Return the transform that takes points from source to target at a time.

        Time() is the latest that is known. Waits up to `timeout`, while another thread spins the
        listener's node. Raises a TransformException.
        """
        found = self._when_known(
            lambda: self._tree.lookup(target_frame, source_frame, _nanoseconds(time)), timeout
        )
        return _to_message(target_frame, source_frame, *found)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time | TimeMessage,
        source_frame: str,
        source_time: Time | TimeMessage,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """Return the transform from source at its time to target at its time by a fixed frame."""

        def look_up() -> tuple[int, Rigid]:
            _, first = self._tree.lookup(fixed_frame, source_frame, _nanoseconds(source_time))
            stamp_ns, second = self._tree.lookup(target_frame, fixed_frame, _nanoseconds(target_time))
            return stamp_ns, second @ first

        return _to_message(target_frame, source_frame, *self._when_known(look_up, timeout))

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time | TimeMessage,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Return whether lookup_transform() would succeed, waiting up to `timeout` for it."""
        problem = ""
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException as error:
            problem = str(error)
        return (not problem, problem) if return_debug_tuple else not problem

    def clear(self) -> None:
        """Forget everything but static transforms."""
        with self._changed:
            fixed = {child: track for child, track in self._tree.tracks.items() if track.static}
            self._tree.tracks = fixed

    def _when_known(self, look_up: Callable[[], Found], timeout: Duration) -> Found:
        """Return what a look-up gives, tried again with every new transform until the timeout."""
        end = steady.monotonic() + timeout.nanoseconds / 1e9
        with self._changed:
            while True:
                try:
                    return look_up()
                except TransformException:
                    left = end - steady.monotonic()
                    if left <= 0:
                        raise
                self._changed.wait(left)

    def _insert(self, message: TransformStamped, authority: str, *, static: bool) -> None:
        parent, child = message.header.frame_id.removeprefix("/"), message.child_frame_id.removeprefix("/")
        t, r = message.transform.translation, message.transform.rotation
        numbers = (t.x, t.y, t.z, r.x, r.y, r.z, r.w)
        squared = r.x**2 + r.y**2 + r.z**2 + r.w**2
        if not parent or not child or parent == child or not all(map(math.isfinite, numbers)):
            problem = "names or numbers are no use"
        elif abs(squared - 1.0) > 1e-2:
            problem = f"the quaternion has length {math.sqrt(squared):.3f}"
        else:
            link = Link(
                _nanoseconds(message.header.stamp), parent, Rigid(numbers[:3], normalize(numbers[3:]))
            )
            with self._changed:
                kept = self._tree.insert(child, link, static)
                self._changed.notify_all()
            if kept:
                return
            problem = "it is older than the buffer keeps"
        get_logger("tf2").warning(
            f"transform from '{parent}' to '{child}' by {authority} ignored: {problem}",
            throttle_duration_sec=5.0,
        )


def _nanoseconds(time: Time | TimeMessage) -> int:
    return time.nanoseconds if isinstance(time, Time) else time.sec * 1_000_000_000 + time.nanosec


def _to_message(target: str, source: str, stamp_ns: int, transform: Rigid) -> TransformStamped:
    message = TransformStamped(child_frame_id=source)
    message.header.frame_id = target
    message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    t, r = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = transform.translation
    r.x, r.y, r.z, r.w = transform.rotation
    return message
