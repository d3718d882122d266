# SPDX-License-Identifier: Apache-2.0
"""The buffer: all transforms of the last seconds, to be asked for at any time."""

from __future__ import annotations

import math
import threading
import time as steady
from typing import Any

from rclpy.duration import S_TO_NS, Duration
from rclpy.logging import get_logger
from rclpy.time import Time

from geometry_msgs.msg import TransformStamped

from .exceptions import TransformException
from .rigid import Rigid, normalize
from .tree import Link, Tree

DEFAULT_CACHE = Duration(seconds=10)
NO_WAIT = Duration()


class Buffer:
    """Thread-safe. Filled by a TransformListener, or by hand with set_transform()."""

    def __init__(self, cache_time: Duration | None = None, node: Any = None) -> None:
        cache = DEFAULT_CACHE if cache_time is None else cache_time
        self._tree = Tree(cache.nanoseconds)
        self._changed = threading.Condition()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform at its stamp."""
        self._insert(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that holds at all times."""
        self._insert(transform, authority, static=True)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """Return the transform that takes points from source to target at a time.

        Time() is the latest that is known. Waits up to `timeout`, while another thread spins the
        listener's node. Raises a TransformException.
        """
        source, target = _plain(source_frame), _plain(target_frame)
        self._wait(target, source, time, timeout)
        with self._changed:
            stamp_ns, found = self._tree.lookup(target, source, time.nanoseconds)
        return _to_message(target, source, stamp_ns, found)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """Return the transform from source at its time to target at its time by a fixed frame."""
        target, source, fixed = (_plain(f) for f in (target_frame, source_frame, fixed_frame))
        self._wait(fixed, source, source_time, timeout)
        self._wait(target, fixed, target_time, timeout)
        with self._changed:
            _, first = self._tree.lookup(fixed, source, source_time.nanoseconds)
            stamp_ns, second = self._tree.lookup(target, fixed, target_time.nanoseconds)
        return _to_message(target, source, stamp_ns, second @ first)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Return whether lookup_transform() would succeed, waiting up to `timeout` for it."""
        error = self._wait(_plain(target_frame), _plain(source_frame), time, timeout)
        return (error is None, str(error or "")) if return_debug_tuple else error is None

    def all_frames_as_string(self) -> str:
        """Return one line per frame with its parent."""
        with self._changed:
            tracks = sorted(self._tree.tracks.items())
        lines = [f"Frame {child} exists with parent {t.newest.parent}." for child, t in tracks]
        return "\n".join(lines)

    def clear(self) -> None:
        """Forget everything but static transforms."""
        with self._changed:
            fixed = {child: track for child, track in self._tree.tracks.items() if track.static}
            self._tree.tracks = fixed

    def _wait(
        self, target: str, source: str, time: Time, timeout: Duration
    ) -> TransformException | None:
        """Wait until a transform is known; return the reason if it is still not."""
        end = steady.monotonic() + timeout.nanoseconds / S_TO_NS
        with self._changed:
            while True:
                try:
                    self._tree.lookup(target, source, time.nanoseconds)
                except TransformException as error:
                    left = end - steady.monotonic()
                    if left <= 0:
                        return error
                    self._changed.wait(left)
                else:
                    return None

    def _insert(self, message: TransformStamped, authority: str, *, static: bool) -> None:
        parent, child = _plain(message.header.frame_id), _plain(message.child_frame_id)
        t, r = message.transform.translation, message.transform.rotation
        numbers = (t.x, t.y, t.z, r.x, r.y, r.z, r.w)
        norm = math.sqrt(sum(c * c for c in numbers[3:]))
        if not parent or not child or parent == child or not all(map(math.isfinite, numbers)):
            problem = "names or numbers are no use"
        elif abs(norm - 1.0) > 1e-2:
            problem = f"the quaternion has length {norm:.3f}"
        else:
            stamp_ns = message.header.stamp.sec * S_TO_NS + message.header.stamp.nanosec
            transform = Rigid(numbers[:3], normalize(numbers[3:]))
            with self._changed:
                kept = self._tree.insert(child, Link(stamp_ns, parent, transform), static)
                self._changed.notify_all()
            if kept:
                return
            problem = "it is older than the buffer keeps"
        get_logger("tf2").warning(
            f"transform from '{parent}' to '{child}' by {authority} ignored: {problem}",
            throttle_duration_sec=5.0,
        )


def _plain(frame: str) -> str:
    """Return a frame name without the leading slash of ROS 1."""
    return frame.removeprefix("/")


def _to_message(target: str, source: str, stamp_ns: int, transform: Rigid) -> TransformStamped:
    message = TransformStamped(child_frame_id=source)
    message.header.frame_id = target
    message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    t, r = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = transform.translation
    r.x, r.y, r.z, r.w = transform.rotation
    return message
