# SPDX-License-Identifier: Apache-2.0
"""tf at an image's stamp, with sentences for what is missing and with time that jumps back noticed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, ExtrapolationException, TransformException, TransformListener
from torch import Tensor

from ace_ros.files.names import frame_name
from ace_ros.nodes.conversions import complaint_of, matrix_of_transform, stamp_ns
from ace_ros.nodes.pose_source import KEPT_NS, NoPose, jumped_back, stopped, unsure
from ace_ros.nodes.stamps import Order, StampLine, apart

MAX_REFUSED = 2  # child frames of which it is remembered why their newest transform was left out


class TfTree:
    """The transforms that a node hears.

    tf2's buffer keeps transforms from before and after a jump back in time side by side, so this one
    forgets when the chain between frames that were asked for jumps. `on_jump` is then called with a
    sentence, before any pose from after the jump is given out; it must not block. A transform that is
    none, or whose stamp no other agrees with, is left out: one of them would make tf2 forget all before.
    """

    def __init__(self, node: Node, on_jump: Callable[[str], None]) -> None:
        self.changed = threading.Condition()
        self._frames: set[str] = set()
        self._on_jump = on_jump
        self._parents: dict[str, str] = {}
        self._lines: dict[str, StampLine] = {}  # of child frames
        self._mixed: set[str] = set()  # children whose time jumped back while nobody asked for them
        self._refused: dict[str, str] = {}  # why the newest transform of a child frame was left out
        self._buffer = _WatchedBuffer(self._take)
        self._listener = TransformListener(self._buffer, node)

    def look_up(self, target: str, source: str, stamp: int) -> Tensor:
        """Return T_target_source (4, 4) at a stamp in nanoseconds, which is above 0. Raises NoPose."""
        if target == source:
            return torch.eye(4, dtype=torch.float64)
        with self.changed:
            self._frames |= {target, source}
            chain = self._chain()
            if not self._mixed.isdisjoint(chain):
                self._mixed.clear()
                self._buffer.clear()
            if any(self._lines[child].unsure for child in chain if child in self._lines):
                raise unsure()
            try:
                found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp))
            except ExtrapolationException:
                raise self._out_of_time(target, source, stamp) from None
            except TransformException:
                raise NoPose(self._disconnected(target, source), later=True) from None
        return matrix_of_transform(found.transform)

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
            return NoPose(f"{stopped(age)}{self._left_out()}", later=True)
        return NoPose(f"odometry {target} -> {source} begins after the image")

    def _disconnected(self, target: str, source: str) -> str:
        known = {*self._parents, *self._parents.values()}
        missing = [name for name in (target, source) if name not in known]
        if missing:
            return f"no transform of frame {' and '.join(map(repr, missing))} has arrived{self._left_out()}"
        return f"frames {target!r} and {source!r} are not connected in tf{self._left_out()}"

    def _left_out(self) -> str:
        """Return which transforms were left out of late."""
        return "".join(f"; {why}" for why in self._refused.values())

    def _take(self, transform: Any, static: bool, add: Callable[[], None]) -> None:
        """Take note of a transform, and have the buffer `add` it where it can be believed."""
        child, parent = map(frame_name, (transform.child_frame_id, transform.header.frame_id))
        with self.changed:
            why = complaint_of(transform.transform.translation, transform.transform.rotation)
            why = why or ("" if static else self._out_of_line(child, stamp_ns(transform.header.stamp)))
            self._refused.pop(child, None)
            if why:
                while len(self._refused) >= MAX_REFUSED:
                    self._refused.pop(next(iter(self._refused)))
                self._refused[child] = f"the transform {parent} -> {child} was left out: it {why}"
                return
            self._parents[child] = parent
            add()
            self.changed.notify_all()

    def _out_of_line(self, child: str, stamp: int) -> str:
        """Return why the stamp of a transform cannot be believed; begin anew where time has jumped back."""
        if stamp <= 0:
            return "has no time stamp"
        line = self._lines.setdefault(child, StampLine())
        newest = line.newest
        order = line.take(stamp)
        if order is Order.APART:
            return apart(stamp, newest)
        if order is Order.BACK and child not in self._chain():
            self._mixed.add(child)
        elif order is Order.BACK:
            self._buffer.clear()  # static transforms stay
            self._lines = {child: line}
            self._on_jump(jumped_back(newest - stamp))
        return ""

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
    """A Buffer that asks what to do with a listener's transforms: `take(transform, static, add)`."""

    def __init__(self, take: Callable[[Any, bool, Callable[[], None]], None]) -> None:
        super().__init__(cache_time=Duration(nanoseconds=KEPT_NS))
        self._take = take

    def set_transform(self, transform: Any, authority: str) -> None:
        """Add a transform at its stamp."""
        add = super().set_transform
        self._take(transform, False, lambda: add(transform, authority))

    def set_transform_static(self, transform: Any, authority: str) -> None:
        """Add a transform that holds at all times."""
        add = super().set_transform_static
        self._take(transform, True, lambda: add(transform, authority))
