# SPDX-License-Identifier: Apache-2.0
"""Whether a pose is believed and for how long: one false match must not move the robot."""

from __future__ import annotations

from torch import Tensor

from ace_ros.nodes.keyframes import is_far
from ace_ros.nodes.options import LocalizerConfig


class PoseGate:
    """Compares every T_map_odom with the accepted one.

    `accepted` is that transform (4, 4), None while lost; `frame` is the map frame that it is in: a
    pose in another one contradicts it. A pose that contradicts it becomes a
    candidate; the next one that agrees with the candidate is accepted. Where there is no odometry,
    T_map_base takes the place of T_map_odom. Times are seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self.accepted: Tensor | None = None
        self.frame = ""
        self.failures = 0
        self._accepted_at = 0.0
        self._candidate: tuple[str, Tensor] | None = None

    def offer(self, T_map_odom: Tensor, now: float, config: LocalizerConfig, frame: str = "") -> bool:
        """Take a pose that an image gave; return whether it is accepted."""
        limits = (config.gate_distance_m, config.gate_angle_deg)
        if self.accepted is not None:
            agrees = frame == self.frame and not is_far(self.accepted, T_map_odom, *limits)
        else:
            agrees = not config.confirm_first
        confirmed = (
            self._candidate is not None
            and self._candidate[0] == frame
            and not is_far(self._candidate[1], T_map_odom, *limits)
        )
        if not (agrees or confirmed):
            self._candidate = frame, T_map_odom
            self.failures += 1
            return False
        self.accepted, self.frame, self._accepted_at = T_map_odom, frame, now
        self._candidate, self.failures = None, 0
        return True

    def fail(self) -> None:
        """Take note of an image that gave no pose; a candidate needs the very next image to agree."""
        self._candidate = None
        self.failures += 1

    def loss(self, now: float, config: LocalizerConfig) -> str:
        """Return why the accepted pose is given up now, empty where it is kept or there is none."""
        if self.accepted is None:
            return ""
        if self.failures >= config.lost_after_images:
            return f"the last {self.failures} images gave no accepted pose"
        if now - self._accepted_at > config.lost_after_s:
            return f"no pose was accepted for {now - self._accepted_at:.1f} s"
        return ""

    def forget(self) -> None:
        """Forget the accepted pose and the candidate."""
        self.accepted, self._candidate, self.failures = None, None, 0
