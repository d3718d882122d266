# SPDX-License-Identifier: Apache-2.0
"""tf at an image's stamp, with sentences for what is missing and with time that jumps back noticed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, ExtrapolationException, TransformException, TransformListener
from torch import Tensor

from ace_ros.nodes.conversions import matrix_of_transform, stamp_ns
from ace_ros.nodes.pose_source import KEPT_NS, TIME_JUMP_NS, NoPose, jumped_back, stopped


class TfTree:
    """The transforms that a node hears.

    tf2's buffer keeps transforms from before and after a jump back in time side by side, so this one
    forgets when the chain between frames that were asked for jumps. `on_jump` is then called with a
    sentence, before any pose from after the jump is given out; it must not block.
    """

    def __init__(self, node: Node, on_jump: Callable[[str], None]) -> None:
        self.changed = threading.Condition()
        self._frames: set[str] = set()
        self._on_jump = on_jump
        self._parents: dict[str, str] = {}
        self._newest: dict[str, int] = {}
        self._buffer = _WatchedBuffer(self._taking)
        self._listener = TransformListener(self._buffer, node)

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

    @contextmanager
    def _taking(self, transform: Any, static: bool) -> Iterator[None]:
        """Take note of a transform that the buffer takes within."""
        with self.changed:
            self._parents[transform.child_frame_id] = transform.header.frame_id
            if not static:
                self._notice_jump(transform)
            yield
            self.changed.notify_all()

    def _notice_jump(self, transform: Any) -> None:
        child, stamp = transform.child_frame_id, stamp_ns(transform.header.stamp)
        back = self._newest.get(child, stamp) - stamp
        jumped = back >= TIME_JUMP_NS and child in self._chain()
        if jumped:
            self._buffer.clear()  # static transforms stay
            self._newest = {}
            self._on_jump(jumped_back(back))
        if back <= 0 or jumped:
            self._newest[child] = stamp

    def _chain(self) -> set[str]:
        """Return the child frames between the frames that were asked for, without common parents."""
        ways = [self._ancestors(name) for name in self._frames]
        return set[str]().union(*ways) - ways[0].intersection(*ways[1:]) if ways else set()

    def _ancestors(self, name: str) -> set[str]:
        way: set[str] = set()
        while name in self._parents and name not in way:
            way.add(name)
            name = self._parents[name]
        return way


class _WatchedBuffer(Buffer):
    """A Buffer that says what a listener gives it; `taking(transform, static)` surrounds each."""

    def __init__(self, taking: Callable[[Any, bool], AbstractContextManager[None]]) -> None:
        super().__init__(cache_time=Duration(nanoseconds=KEPT_NS))
        self._taking = taking

    def set_transform(self, transform: Any, authority: str) -> None:
        """Add a transform at its stamp."""
        with self._taking(transform, False):
            super().set_transform(transform, authority)

    def set_transform_static(self, transform: Any, authority: str) -> None:
        """Add a transform that holds at all times."""
        with self._taking(transform, True):
            super().set_transform_static(transform, authority)
