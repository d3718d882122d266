# SPDX-License-Identifier: Apache-2.0
"""Poses at an image's stamp: interpolated, waited for, never the latest one.

`OdometryBuffer` holds the poses of a nav_msgs/Odometry topic; `tf_tree.TfTree` does the same for
tf. Both raise NoPose, which says whether waiting may help.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ace_ros.files.names import frame_name
from ace_ros.geometry.se3 import interpolate
from ace_ros.nodes.conversions import complaint_of, matrix_of_pose, stamp_ns
from ace_ros.nodes.stamps import Order, StampLine, apart

KEPT_NS = 30_000_000_000


class NoPose(Exception):
    """There is no pose at a stamp. `later` tells that odometry which arrives later may give one."""

    def __init__(self, reason: str, later: bool = False) -> None:
        super().__init__(reason)
        self.later = later


def wait_for_pose(look_up: Callable[[], Tensor], changed: threading.Condition, deadline: float) -> Tensor:
    """Return what `look_up` returns, trying again when odometry `changed` until time.monotonic().

    Raises the last NoPose when the deadline has passed, at once where waiting cannot help.
    """
    while True:
        try:
            return look_up()
        except NoPose as error:
            left = deadline - time.monotonic()
            if not error.later or left <= 0:
                raise
        with changed:
            # Odometry that arrived between the look-up and here is found after this short wait.
            changed.wait(min(left, 0.02))


def stopped(age_ns: int) -> str:
    """Return the sentence on odometry whose newest pose is older than an image."""
    return f"odometry stopped {age_ns / 1e9:.2f} s before the image"


def jumped_back(back_ns: int) -> str:
    """Return the sentence on odometry whose stamps went back."""
    return f"odometry time jumped back by {back_ns / 1e9:.2f} s"


def unsure() -> NoPose:
    """Return the error while one message, and not yet a second, says that time jumped back."""
    return NoPose("odometry time may have jumped back", later=True)


class OdometryBuffer:
    """The poses of an Odometry topic in the last 30 s.

    `on_jump` is called with a sentence when the stamps go back, twice in a row; the poses before are
    forgotten. It is called before any pose from after the jump is given out, so it must not block.
    """

    def __init__(self, frame: str, base_frame: str, max_gap_s: float, on_jump: Callable[[str], None]) -> None:
        self.changed = threading.Condition()
        self._frame = frame
        self._base_frame = base_frame
        self._max_gap_ns = int(max_gap_s * 1e9)
        self._on_jump = on_jump
        self._stamps: list[int] = []
        self._poses: list[Tensor] = []
        self._wrong = ""  # all odometry is, until one comes that is not
        self._refused = ""  # one message was
        self._line = StampLine()

    def add(self, message: Any) -> None:
        """Take a nav_msgs/Odometry message."""
        stamp = stamp_ns(message.header.stamp)
        with self.changed:
            self._wrong = self._wrong_frame(message)
            if self._wrong:
                return
            newest = self._line.newest
            self._refused = self._complaint(message, stamp)
            order = Order.APART if self._refused else self._line.take(stamp)
            if order is Order.APART:
                self._refused = self._refused or apart(stamp, newest)
                return
            if order is Order.OLD:
                return
            if order is Order.BACK:
                self._stamps, self._poses = [], []
                self._on_jump(jumped_back(newest - stamp))
            self._stamps.append(stamp)
            self._poses.append(matrix_of_pose(message.pose.pose))
            old = bisect.bisect_left(self._stamps, stamp - KEPT_NS)
            del self._stamps[:old], self._poses[:old]
            self.changed.notify_all()

    def look_up(self, stamp: int) -> Tensor:
        """Return T_odom_base (4, 4) at a stamp in nanoseconds. Raises NoPose."""
        with self.changed:
            if self._wrong:
                raise NoPose(self._wrong)
            if self._line.unsure:
                raise unsure()
            refused = f"; a message was left out: it {self._refused}" if self._refused else ""
            if not self._stamps:
                raise NoPose(f"no odometry has arrived on the topic odom{refused}", later=True)
            if stamp > self._stamps[-1]:
                raise NoPose(f"{stopped(stamp - self._stamps[-1])}{refused}", later=True)
            if stamp < self._stamps[0]:
                begin = (self._stamps[0] - stamp) / 1e9
                raise NoPose(f"odometry begins {begin:.2f} s after the image")
            after = bisect.bisect_left(self._stamps, stamp)
            if self._stamps[after] == stamp:
                return self._poses[after]
            (t0, t1), (T0, T1) = self._stamps[after - 1 : after + 1], self._poses[after - 1 : after + 1]
        if t1 - t0 > self._max_gap_ns:
            raise NoPose(f"odometry has a gap of {(t1 - t0) / 1e9:.2f} s around the image")
        return interpolate(T0, T1, (stamp - t0) / (t1 - t0))

    def _complaint(self, message: Any, stamp: int) -> str:
        if stamp <= 0:
            return "has no time stamp"
        return complaint_of(message.pose.pose.position, message.pose.pose.orientation)

    def _wrong_frame(self, message: Any) -> str:
        frame, child = frame_name(message.header.frame_id), frame_name(message.child_frame_id)
        if frame != self._frame:
            return f"odometry arrives in frame {frame!r}, expected {self._frame!r} (parameter odom_frame)"
        if child != self._base_frame:
            return f"odometry is of frame {child!r}, expected {self._base_frame!r} (parameter base_frame)"
        return ""
