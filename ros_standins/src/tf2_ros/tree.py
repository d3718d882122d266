# SPDX-License-Identifier: Apache-2.0
"""The tree of frames over time, without any waiting or messages."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from .exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
)
from .rigid import IDENTITY, Rigid, interpolate

MAX_DEPTH = 1000


class Link(NamedTuple):
    """Where a frame stood in its parent."""

    time_ns: int
    parent: str
    transform: Rigid


class Track:
    """The history of one frame."""

    def __init__(self, static: bool) -> None:
        self.static = static
        self._times: list[int] = []
        self._links: list[Link] = []

    @property
    def newest(self) -> Link:
        """Return the newest entry."""
        return self._links[-1]

    def insert(self, link: Link, keep_ns: int) -> bool:
        """Add an entry and forget those that are too old; False if it is too old itself."""
        if self.static:
            self._times, self._links = [link.time_ns], [link]
            return True
        if self._times and link.time_ns < self._times[-1] - keep_ns:
            return False
        place = bisect_left(self._times, link.time_ns)
        if place < len(self._times) and self._times[place] == link.time_ns:
            self._links[place] = link
        else:
            self._times.insert(place, link.time_ns)
            self._links.insert(place, link)
        old = bisect_left(self._times, self._times[-1] - keep_ns)
        del self._times[:old], self._links[:old]
        return True

    def at(self, time_ns: int) -> Link:
        """Return where the frame stood, interpolated; 0 is the newest.

        Raises ExtrapolationException for a time outside the history.
        """
        if self.static or time_ns == 0:
            return self._links[-1]
        after = bisect_right(self._times, time_ns)
        if after and self._times[after - 1] == time_ns:
            return self._links[after - 1]
        wanted = _seconds(time_ns)
        if len(self._times) == 1:
            only = _seconds(self._times[0])
            raise ExtrapolationException(
                f"Lookup would require extrapolation at time {wanted}, but only time {only} is in the buffer"
            )
        if after == len(self._times):
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the future.  Requested time {wanted} "
                f"but the latest data is at time {_seconds(self._times[-1])}"
            )
        if after == 0:
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the past.  Requested time {wanted} but "
                f"the earliest data is at time {_seconds(self._times[0])}"
            )
        first, second = self._links[after - 1], self._links[after]
        if first.parent != second.parent:
            return first
        share = (time_ns - first.time_ns) / (second.time_ns - first.time_ns)
        between = interpolate(first.transform, second.transform, share)
        return Link(time_ns, first.parent, between)


class Tree:
    """All frames. Not thread-safe."""

    def __init__(self, keep_ns: int) -> None:
        self.keep_ns = keep_ns
        self.tracks: dict[str, Track] = {}
        self.frames: set[str] = set()  # that were ever heard of

    def insert(self, child: str, link: Link, static: bool) -> bool:
        """Add where a frame stands; False if that is too old to be kept."""
        track = self.tracks.get(child)
        if track is None or track.static != static:
            track = self.tracks[child] = Track(static)
        self.frames |= {child, link.parent}
        return track.insert(link, self.keep_ns)

    def lookup(self, target: str, source: str, time_ns: int) -> tuple[int, Rigid]:
        """Return the time and the transform that takes points from source to target.

        Time 0 asks for the latest time at which all links are known.
        """
        self._require("target_frame", target)
        self._require("source_frame", source)
        if time_ns == 0:
            time_ns = self._latest_common(target, source)
        up, trouble = self._climb(source, target, time_ns)
        if target in up:
            return time_ns, up[target]
        down, more_trouble = self._climb(target, None, time_ns)
        for frame, target_in_frame in down.items():
            if frame in up:
                return time_ns, target_in_frame.inverse() @ up[frame]
        trouble = trouble or more_trouble
        if trouble is not None:
            raise ExtrapolationException(
                f"{trouble}, when looking up transform from frame [{source}] to frame [{target}]"
            )
        raise _unconnected(target, source)

    def _climb(
        self, frame: str, goal: str | None, time_ns: int
    ) -> tuple[dict[str, Rigid], ExtrapolationException | None]:
        """Return the pose of `frame` in each of its ancestors, nearest first.

        Ends at `goal`, at the root, or where the time is not known (then with that error).
        """
        start = frame
        poses = {start: IDENTITY}
        while frame != goal and frame in self.tracks:
            try:
                link = self.tracks[frame].at(time_ns)
            except ExtrapolationException as error:
                return poses, error
            if link.parent in poses or len(poses) > MAX_DEPTH:
                raise LookupException(f"The tf tree is invalid because it contains a loop at {frame}")
            poses[link.parent] = link.transform @ poses[frame]
            frame = link.parent
        return poses, None

    def _latest_common(self, target: str, source: str) -> int:
        """Return the newest time at which every link between two frames is known."""
        newest: list[dict[str, int]] = []
        for frame in (source, target):
            times = {frame: 0}
            latest = 0
            while frame in self.tracks and len(times) <= MAX_DEPTH:
                track = self.tracks[frame]
                if not track.static:
                    time_ns = track.newest.time_ns
                    latest = min(latest, time_ns) if latest else time_ns
                frame = track.newest.parent
                if frame in times:
                    break
                times[frame] = latest
            newest.append(times)
        for frame, from_target in newest[1].items():
            if frame in newest[0]:
                known = [t for t in (from_target, newest[0][frame]) if t]
                return min(known, default=0)
        raise _unconnected(target, source)

    def _require(self, argument: str, frame: str) -> None:
        if not frame:
            raise InvalidArgumentException(
                f"Invalid argument passed to lookupTransform argument {argument} in tf2 frame_ids "
                "cannot be empty"
            )
        if frame.startswith("/"):
            raise InvalidArgumentException(
                f'Invalid argument "{frame}" passed to lookupTransform argument {argument} in tf2 frame_ids '
                "cannot start with a '/'"
            )
        if frame not in self.frames:
            raise LookupException(f'"{frame}" passed to lookupTransform argument {argument} does not exist. ')


def _unconnected(target: str, source: str) -> ConnectivityException:
    return ConnectivityException(
        f"Could not find a connection between '{target}' and '{source}' because they are not part "
        "of the same tree. Tf has two or more unconnected trees."
    )


def _seconds(time_ns: int) -> str:
    return f"{time_ns / 1e9:.6f}"
