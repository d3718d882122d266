# SPDX-License-Identifier: Apache-2.0
"""Depth that belongs to an image: of a depth image or of a LiDAR's points taken at nearly its stamp."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ace_ros.data.depth_image import depth_of_message
from ace_ros.data.point_cloud import depth_of_points
from ace_ros.errors import CameraError
from ace_ros.files.names import frame_name
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import inverse
from ace_ros.nodes.clouds import points_of_message
from ace_ros.nodes.conversions import stamp_ns
from ace_ros.nodes.options import MapperConfig
from ace_ros.nodes.pose_source import NoPose, wait_for_pose
from ace_ros.nodes.stamps import TIME_JUMP_NS, Order, StampLine

KEPT_MESSAGES = 100


class NoDepth(Exception):
    """There is no usable depth of an image; the message says why."""


@dataclass(frozen=True)
class DepthQuery:
    """The image whose depth is wanted, and until when (time.monotonic()) it may be waited for."""

    stamp: int
    frame: str
    camera: Camera
    T_odom_camera: Tensor
    deadline: float


class DepthSource:
    """The newest messages of the topic that depth comes from.

    `look_up(frame, stamp_ns)` returns T_odom_frame or raises NoPose: a LiDAR measures at another time
    than the camera, from where the robot was then. `changed` is notified when it may answer anew.
    """

    def __init__(
        self,
        topic: str,
        look_up: Callable[[str, int], Tensor],
        changed: threading.Condition,
        config: Callable[[], MapperConfig],
    ) -> None:
        self._topic, self._look_up, self._changed, self._config = topic, look_up, changed, config
        self._arrived = threading.Condition()
        self._messages: list[tuple[int, Any]] = []
        self._line = StampLine()

    def take(self, message: Any) -> None:
        """Take an Image or a PointCloud2 message; one without a stamp that can be is left out."""
        stamp, config = stamp_ns(message.header.stamp), self._config()
        if stamp <= 0:
            return
        kept_ns = int(1e9 * (config.pose_timeout_s + config.max_depth_gap_s)) + TIME_JUMP_NS
        with self._arrived:
            order = self._line.take(stamp)
            if order is Order.APART:
                return
            if order is Order.BACK:
                self._messages = []
            insort(self._messages, (stamp, message), key=_stamp)
            old = bisect_left(self._messages, self._messages[-1][0] - kept_ns, key=_stamp)
            del self._messages[: max(old, len(self._messages) - KEPT_MESSAGES)]
            self._arrived.notify_all()

    def depth(self, query: DepthQuery) -> np.ndarray:
        """Return the depth image (h, w) uint16 of an image, once it is there. Raises NoDepth."""
        message = self._nearest(query)
        try:
            if hasattr(message, "point_step"):
                return self._depth_of_points(message, query)
            frame = frame_name(message.header.frame_id)
            if frame != query.frame:
                raise NoDepth(
                    f"depth on {self._topic} is in frame {frame!r}, the image in {query.frame!r}; expected "
                    "depth registered to the image"
                )
            return depth_of_message(message)
        except (CameraError, NoPose) as error:
            raise NoDepth(f"{self._topic}: {error}") from error

    def _nearest(self, query: DepthQuery) -> Any:
        """Return the message nearest in time, once none nearer can come."""
        gap_ns = int(1e9 * self._config().max_depth_gap_s)
        with self._arrived:
            self._arrived.wait_for(
                lambda: self._messages and self._messages[-1][0] >= query.stamp,
                max(0.0, query.deadline - time.monotonic()),
            )
            if not self._messages:
                raise NoDepth(f"no depth has arrived on {self._topic}")
            stamp, message = min(self._messages, key=lambda kept: abs(kept[0] - query.stamp))
        if abs(stamp - query.stamp) > gap_ns:
            away = abs(stamp - query.stamp) / 1e9
            raise NoDepth(f"the nearest depth on {self._topic} is {away:.3f} s away from the image")
        return message

    def _depth_of_points(self, message: Any, query: DepthQuery) -> np.ndarray:
        frame, stamp = frame_name(message.header.frame_id), stamp_ns(message.header.stamp)
        T_odom_points = wait_for_pose(lambda: self._look_up(frame, stamp), self._changed, query.deadline)
        T_camera_points = inverse(query.T_odom_camera) @ T_odom_points
        return depth_of_points(points_of_message(message), T_camera_points.numpy(), query.camera)


def _stamp(kept: tuple[int, Any]) -> int:
    return kept[0]
