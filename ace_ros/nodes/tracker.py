# SPDX-License-Identifier: Apache-2.0
"""What the localizer believes, and since when; shared by its threads."""

from __future__ import annotations

import math
import threading
import time
from enum import Enum

from torch import Tensor

from ace_ros.nodes.map_loading import NOWHERE, Located
from ace_ros.nodes.options import LocalizerConfig
from ace_ros.nodes.pose_gate import PoseGate


class Verdict(Enum):
    """What becomes of a pose."""

    ACCEPTED = 0
    NOT_CONFIRMED = 1
    OUTDATED = 2  # what it was computed from is worthless by now


class Tracker:
    """The accepted map -> odom, with counts.

    Every image begins with an epoch; what makes earlier poses worthless (another map, odometry that
    jumped, a request to relocalize) starts a new one, so that an image in work cannot bring the
    old state back. Nothing here waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gate = PoseGate()
        self._epoch = 0
        self._last_pose_ns = 0
        self._located = NOWHERE
        self.tried = 0
        self.localized = 0

    @property
    def T_map_odom(self) -> Tensor | None:
        """The accepted transform (4, 4), None while lost."""
        return self._gate.accepted

    @property
    def accepted(self) -> tuple[Tensor | None, Located]:
        """The accepted transform and what the image said that it is from; None and NOWHERE while lost."""
        with self._lock:
            lost = self._gate.accepted is None
            return self._gate.accepted, NOWHERE if lost else self._located

    def begin(self) -> int:
        """Count an image that is tried; return its epoch."""
        with self._lock:
            self.tried += 1
            return self._epoch

    def accept(
        self,
        T_map_odom: Tensor,
        epoch: int,
        stamp_ns: int,
        config: LocalizerConfig,
        located: Located = NOWHERE,
    ) -> Verdict:
        """Take the pose of an image, and what the image said."""
        with self._lock:
            if epoch != self._epoch:
                return Verdict.OUTDATED
            if not self._gate.offer(T_map_odom, time.monotonic(), config, located.frame):
                return Verdict.NOT_CONFIRMED
            self._located = located
            self._last_pose_ns = stamp_ns
            self.localized += 1
            return Verdict.ACCEPTED

    def fail(self, epoch: int) -> None:
        """Take note of an image that gave no pose."""
        with self._lock:
            if epoch == self._epoch:
                self._gate.fail()

    def check_loss(self, config: LocalizerConfig) -> str:
        """Give the accepted pose up when its time has come; return why, empty otherwise."""
        with self._lock:
            loss = self._gate.loss(time.monotonic(), config)
            if loss:
                self._gate.forget()
            return loss

    def forget(self) -> None:
        """Forget every pose, and those of images in work."""
        with self._lock:
            self._epoch += 1
            self._gate.forget()
            self._last_pose_ns = 0

    def restart(self) -> None:
        """Forget every pose and count from zero: another map is used."""
        self.forget()
        with self._lock:
            self.tried = self.localized = 0

    def since_pose_s(self, stamp_ns: int) -> float:
        """Return the seconds from the last accepted pose to a stamp, NaN without one."""
        return (stamp_ns - self._last_pose_ns) / 1e9 if self._last_pose_ns else math.nan
