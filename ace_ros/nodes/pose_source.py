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

import torch
from torch import Tensor

from ace_ros.geometry.se3 import interpolate
from ace_ros.nodes.conversions import matrix_of_pose, stamp_ns

# Stamps that go back by more than this are a restart, a loop of a bag or a stepped clock; by less,
# messages that overtook each other.
TIME_JUMP_NS = 500_000_000
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


class OdometryBuffer:
    """The poses of an Odometry topic in the last 30 s.

    `on_jump` is called with a sentence when the stamps go back; the poses before are forgotten. It
    is called before any pose from after the jump is given out, so it must not block.
    """

    def __init__(self, frame: str, base_frame: str, max_gap_s: float, on_jump: Callable[[str], None]) -> None:
        self.changed = threading.Condition()
        self._frame = frame
        self._base_frame = base_frame
        self._max_gap_ns = int(max_gap_s * 1e9)
        self._on_jump = on_jump
        self._stamps: list[int] = []
        self._poses: list[Tensor] = []
        self._wrong = ""

    def add(self, message: Any) -> None:
        """Take a nav_msgs/Odometry message."""
        stamp = stamp_ns(message.header.stamp)
        T = matrix_of_pose(message.pose.pose)
        with self.changed:
            self._wrong = self._complaint(message, T)
            if self._wrong:
                return
            if self._stamps and stamp <= self._stamps[-1]:
                back_ns = self._stamps[-1] - stamp
                if back_ns < TIME_JUMP_NS:
                    return
                self._stamps, self._poses = [], []
                self._on_jump(jumped_back(back_ns))
            self._stamps.append(stamp)
            self._poses.append(T)
            old = bisect.bisect_left(self._stamps, stamp - KEPT_NS)
            del self._stamps[:old], self._poses[:old]
            self.changed.notify_all()

    def look_up(self, stamp: int) -> Tensor:
        """Return T_odom_base (4, 4) at a stamp in nanoseconds. Raises NoPose."""
        with self.changed:
            if self._wrong:
                raise NoPose(self._wrong)
            if not self._stamps:
                raise NoPose("no odometry has arrived on the topic odom", later=True)
            if stamp > self._stamps[-1]:
                raise NoPose(stopped(stamp - self._stamps[-1]), later=True)
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

    def _complaint(self, message: Any, T: Tensor) -> str:
        if message.header.frame_id != self._frame:
            return (
                f"odometry arrives in frame {message.header.frame_id!r}, expected {self._frame!r} "
                "(parameter odom_frame)"
            )
        if message.child_frame_id != self._base_frame:
            return (
                f"odometry is of frame {message.child_frame_id!r}, expected {self._base_frame!r} "
                "(parameter base_frame)"
            )
        return "" if bool(torch.isfinite(T).all()) else "odometry has a pose that is not finite numbers"
