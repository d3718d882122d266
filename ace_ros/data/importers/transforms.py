# SPDX-License-Identifier: Apache-2.0
"""A tree of timed transforms, as tf has it, for recordings that are known as a whole.

Lookups interpolate between the two neighbours in time and never go beyond them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

import numpy as np
import torch
from torch import Tensor

from ace_ros.geometry.se3 import from_quaternion, from_rotation_translation, inverse, slerp

MAX_GAP_NS = 1_000_000_000
ROUNDING_NS = 1000  # seconds since 1970 that went through a double are off by 240 ns


class NoTransform(LookupError):
    """There is no transform between two frames at a time; the message says why."""


class TransformTree:
    """Timed and static transforms between frames.

    `max_gap_ns` is the longest gap in time that is interpolated over. A frame may be below several
    parents: the shortest chain counts.
    """

    def __init__(self, max_gap_ns: int = MAX_GAP_NS) -> None:
        self._max_gap_ns = max_gap_ns
        # T_parent_child under [parent][child]; the same edge under [child][parent].
        self._edges: dict[str, dict[str, _Edge]] = {}
        self._chains: dict[tuple[str, str], list[tuple[_Edge, bool]]] = {}
        self._left_out: Counter[tuple[str, str]] = Counter()

    @property
    def frames(self) -> list[str]:
        """The names of all frames, sorted."""
        return sorted(self._edges)

    def add(
        self,
        parent: str,
        child: str,
        stamp_ns: int | None,
        translation: np.ndarray,
        q_xyzw: np.ndarray,
    ) -> None:
        """Add T_parent_child at a time, or for all times (None).

        `translation` (3,) is in metres, `q_xyzw` (4,) a quaternion. Values that are not finite, and
        quaternions without a length, are left out, as tf2 does.
        """
        values = np.concatenate([translation, q_xyzw]).astype(np.float64)
        length = np.linalg.norm(values[3:])
        if parent == child or not np.isfinite(values).all() or length < 1e-6:
            self._left_out[parent, child] += 1
            return
        values[3:] /= length
        edge = self._edges.get(child, {}).get(parent)
        if edge is None or edge.parent != parent:
            edge = _Edge(parent)
            self._edges.setdefault(parent, {})[child] = edge
            self._edges.setdefault(child, {})[parent] = edge
            self._chains.clear()
        edge.add(stamp_ns, torch.from_numpy(values))

    def lookup(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        """Return T_target_source (4, 4) float64 at a time; raises NoTransform."""
        T = torch.eye(4, dtype=torch.float64)
        for edge, downwards in self._chain(target, source):
            try:
                step = edge.at(stamp_ns, self._max_gap_ns)
            except NoTransform as error:
                raise NoTransform(f"{target} -> {source}: {error}") from None
            T = T @ (step if downwards else inverse(step))
        return T.numpy()

    def _chain(self, target: str, source: str) -> list[tuple[_Edge, bool]]:
        """Return the edges from target to source, each with whether it leads to the child."""
        if (target, source) not in self._chains:
            self._chains[target, source] = self._find_chain(target, source)
        return self._chains[target, source]

    def _find_chain(self, target: str, source: str) -> list[tuple[_Edge, bool]]:
        missing = [name for name in (target, source) if name not in self._edges]
        if missing and target != source:
            raise NoTransform(
                f"no transform of frame {' and '.join(map(repr, missing))}; "
                f"there are {', '.join(self.frames) or 'none'}{self._left_out_in_words()}"
            )
        ways: dict[str, list[tuple[_Edge, bool]]] = {target: []}
        queue = [target]
        for name in queue:
            if name == source:
                return ways[name]
            for other, edge in self._edges[name].items():
                if other not in ways:
                    ways[other] = [*ways[name], (edge, edge.parent == name)]
                    queue.append(other)
        raise NoTransform(f"frames {target!r} and {source!r} are not connected{self._left_out_in_words()}")

    def _left_out_in_words(self) -> str:
        """Return which transforms could not be used, empty where all could."""
        return "".join(
            f"; {count} transforms {parent} -> {child} were left out: their quaternions have no length, "
            "or they are not finite numbers"
            for (parent, child), count in self._left_out.most_common(2)
        )


class _Edge:
    """T_parent_child over time: rows of translation and unit quaternion."""

    def __init__(self, parent: str) -> None:
        self.parent = parent
        self._static: Tensor | None = None
        self._timed: dict[int, Tensor] = {}
        self._stamps: list[int] = []

    def add(self, stamp_ns: int | None, values: Tensor) -> None:
        if stamp_ns is None:
            self._static = values
        else:
            self._timed[stamp_ns] = values
            self._stamps = []

    def at(self, stamp_ns: int, max_gap_ns: int) -> Tensor:
        if self._static is not None:
            return _matrix(self._static)
        self._stamps = self._stamps or sorted(self._timed)
        nearest = min(max(stamp_ns, self._stamps[0]), self._stamps[-1])
        stamp_ns = nearest if abs(nearest - stamp_ns) <= ROUNDING_NS else stamp_ns
        if stamp_ns in self._timed:
            return _matrix(self._timed[stamp_ns])
        after = bisect_left(self._stamps, stamp_ns)
        if after == 0:
            raise NoTransform(f"begins {_seconds(self._stamps[0] - stamp_ns)} after the image")
        if after == len(self._stamps):
            raise NoTransform(f"ends {_seconds(stamp_ns - self._stamps[-1])} before the image")
        a, b = self._stamps[after - 1], self._stamps[after]
        if b - a > max_gap_ns:
            raise NoTransform(f"has a gap of {_seconds(b - a)} at the image")
        share = (stamp_ns - a) / (b - a)
        one, other = self._timed[a], self._timed[b]
        place = (1 - share) * one[:3] + share * other[:3]
        return _matrix(torch.cat([place, slerp(one[3:], other[3:], share)]))


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.3g} s"


def _matrix(values: Tensor) -> Tensor:
    return from_rotation_translation(from_quaternion(values[3:]), values[:3])
