# SPDX-License-Identifier: Apache-2.0
"""The buffer: all transforms of the last seconds, to be asked for at any time."""

from __future__ import annotations

import math
import threading
import time as steady

from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.time import Time
from tf2_ros.rigid import Rigid, normalize
from tf2_ros.tree import Link, TransformException, Tree

NO_WAIT = Duration()


class Buffer:
    """Thread-safe. Filled by a TransformListener, or by hand with set_transform()."""

    def __init__(self, cache_time: Duration | None = None) -> None:
        self._tree = Tree((cache_time or Duration(seconds=10)).nanoseconds)
        self._changed = threading.Condition()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform at its stamp; an invalid one is left out with a warning."""
        self._insert(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that holds at all times."""
        self._insert(transform, authority, static=True)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time | TimeMessage, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """Return the transform that takes points from source to target at a time.

        Time() is the latest that is known. Waits up to `timeout` while another thread fills the
        buffer. Raises a TransformException.
        """
        end = steady.monotonic() + timeout.nanoseconds / 1e9
        with self._changed:
            while True:
                try:
                    found = self._tree.lookup(target_frame, source_frame, _nanoseconds(time))
                    return _to_message(target_frame, source_frame, *found)
                except TransformException:
                    left = end - steady.monotonic()
                    if left <= 0:
                        raise
                self._changed.wait(left)

    def can_transform(
        self, target_frame: str, source_frame: str, time: Time | TimeMessage, timeout: Duration = NO_WAIT
    ) -> bool:
        """Return whether lookup_transform() would succeed, waiting up to `timeout` for it."""
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException:
            return False
        return True

    def clear(self) -> None:
        """Forget everything but static transforms."""
        with self._changed:
            fixed = {child: track for child, track in self._tree.tracks.items() if track.static}
            self._tree.tracks = fixed

    def _insert(self, message: TransformStamped, authority: str, *, static: bool) -> None:
        parent, child = message.header.frame_id.removeprefix("/"), message.child_frame_id.removeprefix("/")
        t, r = message.transform.translation, message.transform.rotation
        numbers = (t.x, t.y, t.z, r.x, r.y, r.z, r.w)
        squared = r.x * r.x + r.y * r.y + r.z * r.z + r.w * r.w
        if not parent or not child or parent == child or not all(map(math.isfinite, numbers)):
            problem = "its frames must be two names and its numbers finite"
        elif abs(squared - 1.0) > 1e-2:
            problem = f"its quaternion has length {math.sqrt(squared):.3f}, not 1"
        else:
            link = Link(
                _nanoseconds(message.header.stamp), parent, Rigid(numbers[:3], normalize(numbers[3:]))
            )
            with self._changed:
                kept = self._tree.insert(child, link, static)
                self._changed.notify_all()
            if kept:
                return
            problem = "it is older than the cache time"
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
