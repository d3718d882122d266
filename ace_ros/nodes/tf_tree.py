# SPDX-License-Identifier: Apache-2.0
"""tf at an image's stamp, with sentences for what is missing and with time that jumps back noticed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer, ExtrapolationException, TransformException
from torch import Tensor

from ace_ros.nodes.conversions import matrix_of_transform, stamp_ns
from ace_ros.nodes.pose_source import KEPT_NS, TIME_JUMP_NS, NoPose, jumped_back, stopped


class TfTree:
    """The transforms that a node hears.

    tf2's own listener mixes transforms from before and after a jump back in time, so this one
    starts a new buffer when the chain between frames that were asked for jumps. `on_jump` is then
    called with a sentence, before any pose from after the jump is given out; it must not block.
    """

    def __init__(self, node: Node, on_jump: Callable[[str], None]) -> None:
        self.changed = threading.Condition()
        self._frames: set[str] = set()
        self._on_jump = on_jump
        self._buffer = self._new_buffer()
        self._static: dict[str, Any] = {}
        self._parents: dict[str, str] = {}
        self._newest: dict[str, int] = {}
        group = ReentrantCallbackGroup()
        qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        latched = QoSProfile(
            depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )
        self._subscriptions = (
            node.create_subscription(TFMessage, "/tf", self._on_tf, qos, callback_group=group),
            node.create_subscription(TFMessage, "/tf_static", self._on_static, latched, callback_group=group),
        )

    def look_up(self, target: str, source: str, stamp: int) -> Tensor:
        """Return T_target_source (4, 4) at a stamp in nanoseconds, which is above 0. Raises NoPose."""
        if target == source:
            return torch.eye(4, dtype=torch.float64)
        with self.changed:
            self._frames |= {target, source}
            try:
                found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp))
            except ExtrapolationException:
                raise self._out_of_time(target, source, stamp) from None
            except TransformException:
                raise NoPose(self._disconnected(target, source), later=True) from None
        T = matrix_of_transform(found.transform)
        if not bool(torch.isfinite(T).all()):
            raise NoPose(f"the transform {target} -> {source} is not finite numbers")
        return T

    def newest(self, target: str, source: str) -> Tensor | None:
        """Return the newest T_target_source (4, 4), however old it is, None where there is none."""
        with self.changed:
            try:
                found = self._buffer.lookup_transform(target, source, Time())
            except TransformException:
                return None
        return matrix_of_transform(found.transform)

    def _out_of_time(self, target: str, source: str, stamp: int) -> NoPose:
        try:  # time 0 asks for the newest: only to say how old it is
            newest = self._buffer.lookup_transform(target, source, Time())
        except TransformException:
            return NoPose(self._disconnected(target, source), later=True)
        age = stamp - stamp_ns(newest.header.stamp)
        if age > 0:
            return NoPose(stopped(age), later=True)
        return NoPose(f"odometry {target} -> {source} begins after the image")

    def _disconnected(self, target: str, source: str) -> str:
        known = {*self._parents, *self._parents.values()}
        missing = [name for name in (target, source) if name not in known]
        if missing:
            return f"no transform of frame {' and '.join(map(repr, missing))} has arrived"
        return f"frames {target!r} and {source!r} are not connected in tf"

    def _on_tf(self, message: Any) -> None:
        with self.changed:
            for transform in message.transforms:
                self._add(transform)
            self.changed.notify_all()

    def _add(self, transform: Any) -> None:
        child, stamp = transform.child_frame_id, stamp_ns(transform.header.stamp)
        back = self._newest.get(child, stamp) - stamp
        self._parents[child] = transform.header.frame_id
        jumped = back >= TIME_JUMP_NS and child in self._chain()
        if jumped:
            self._buffer = self._new_buffer()
            self._newest = {}
            for static in self._static.values():
                self._buffer.set_transform_static(static, "ace_ros")
            self._on_jump(jumped_back(back))
        if back <= 0 or jumped:
            self._newest[child] = stamp
        self._buffer.set_transform(transform, "ace_ros")

    def _on_static(self, message: Any) -> None:
        with self.changed:
            for transform in message.transforms:
                self._static[transform.child_frame_id] = transform
                self._parents[transform.child_frame_id] = transform.header.frame_id
                self._buffer.set_transform_static(transform, "ace_ros")
            self.changed.notify_all()

    def _chain(self) -> set[str]:
        """Return the child frames between the frames that were asked for, without common parents."""
        ways = [self._ancestors(name) for name in self._frames]
        return set().union(*ways) - set.intersection(*ways) if ways else set()

    def _ancestors(self, name: str) -> set[str]:
        way: set[str] = set()
        while name in self._parents and name not in way:
            way.add(name)
            name = self._parents[name]
        return way

    @staticmethod
    def _new_buffer() -> Buffer:
        return Buffer(cache_time=Duration(nanoseconds=KEPT_NS))
