# SPDX-License-Identifier: Apache-2.0
"""The tree of frames over time, without any waiting or messages."""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import NamedTuple

from tf2_ros.rigid import IDENTITY, Rigid, interpolate

BY_TIME = attrgetter("time_ns")


class TransformException(Exception):
    """Base of all errors about transforms."""


class LookupException(TransformException):
    """A frame does not exist, or is its own ancestor."""


class ConnectivityException(TransformException):
    """Two frames are not in the same tree."""


class ExtrapolationException(TransformException):
    """The time lies before or after what is known."""


class InvalidArgumentException(TransformException):
    """A frame name that makes no sense."""


class Link(NamedTuple):
    """Where a frame stood in its parent."""

    time_ns: int
    parent: str
    transform: Rigid


class Track:
    """The history of one frame; the only entry of a static one holds at all times."""

    def __init__(self, static: bool) -> None:
        self.static = static
        self.links: list[Link] = []  # by time

    def insert(self, link: Link, keep_ns: int) -> bool:
        """Add an entry and forget those that are too old; False if it is too old itself."""
        if self.static:
            self.links = [link]
            return True
        if self.links and link.time_ns < self.links[-1].time_ns - keep_ns:
            return False
        place = bisect_left(self.links, link.time_ns, key=BY_TIME)
        known = place < len(self.links) and self.links[place].time_ns == link.time_ns
        self.links[place : place + known] = [link]
        del self.links[: bisect_left(self.links, self.links[-1].time_ns - keep_ns, key=BY_TIME)]
        return True

    def at(self, time_ns: int) -> Link:
        """Return where the frame stood, interpolated; 0 is the newest.

        Raises ExtrapolationException for a time outside the history.
        """
        if self.static or time_ns == 0:
            return self.links[-1]
        after = bisect_left(self.links, time_ns, key=BY_TIME)
        if after < len(self.links) and self.links[after].time_ns == time_ns:
            return self.links[after]
        if not 0 < after < len(self.links):
            raise ExtrapolationException(self._outside(time_ns))
        first, second = self.links[after - 1], self.links[after]
        if first.parent != second.parent:
            return first
        share = (time_ns - first.time_ns) / (second.time_ns - first.time_ns)
        return Link(time_ns, first.parent, interpolate(first.transform, second.transform, share))

    def _outside(self, time_ns: int) -> str:
        wanted, first, last = (
            f"{t / 1e9:.6f}" for t in (time_ns, self.links[0].time_ns, self.links[-1].time_ns)
        )
        if len(self.links) == 1:
            return (
                f"Lookup would require extrapolation at time {wanted}, but only time {first} is in the buffer"
            )
        late = time_ns > self.links[-1].time_ns
        return (
            f"Lookup would require extrapolation into the {'future' if late else 'past'}.  Requested time "
            f"{wanted} but the {'latest' if late else 'earliest'} data is at time {last if late else first}"
        )


class Tree:
    """All frames. Not thread-safe."""

    def __init__(self, keep_ns: int) -> None:
        self.keep_ns = keep_ns
        self.tracks: dict[str, Track] = {}
        self._frames: set[str] = set()  # that were ever heard of

    def insert(self, child: str, link: Link, static: bool) -> bool:
        """Add where a frame stands; False if that is too old to be kept."""
        track = self.tracks.get(child)
        if track is None or track.static != static:
            track = self.tracks[child] = Track(static)
        self._frames |= {child, link.parent}
        return track.insert(link, self.keep_ns)

    def lookup(self, target: str, source: str, time_ns: int) -> tuple[int, Rigid]:
        """Return the time and the transform that takes points from source to target.

        Time 0 asks for the latest time at which all links are known.
        """
        self._require("target_frame", target)
        self._require("source_frame", source)
        time_ns = time_ns or self._latest_common(target, source)
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
        poses = {frame: IDENTITY}
        while frame != goal and frame in self.tracks:
            try:
                link = self.tracks[frame].at(time_ns)
            except ExtrapolationException as error:
                return poses, error
            if link.parent in poses:
                raise LookupException(f"The tf tree is invalid because it contains a loop at {frame}")
            poses[link.parent] = link.transform @ poses[frame]
            frame = link.parent
        return poses, None

    def _latest_common(self, target: str, source: str) -> int:
        """Return the newest time at which every link between two frames is known, 0 for any time."""
        up, down = self._line(source), self._line(target)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise _unconnected(target, source)
        between = up[: up.index(common)] + down[: down.index(common)]
        tracks = [self.tracks[frame] for frame in between]
        return min((track.links[-1].time_ns for track in tracks if not track.static), default=0)

    def _line(self, frame: str) -> list[str]:
        """Return a frame and its ancestors."""
        line = [frame]
        while frame in self.tracks and (frame := self.tracks[frame].links[-1].parent) not in line:
            line.append(frame)
        return line

    def _require(self, argument: str, frame: str) -> None:
        if not frame or frame.startswith("/"):
            reason = "cannot start with a '/'" if frame else "cannot be empty"
            raise InvalidArgumentException(
                f'Invalid argument "{frame}" passed to lookupTransform argument {argument} - '
                f"in tf2 frame_ids {reason}"
            )
        if frame not in self._frames:
            raise LookupException(f'"{frame}" passed to lookupTransform argument {argument} does not exist. ')


def _unconnected(target: str, source: str) -> ConnectivityException:
    return ConnectivityException(
        f"Could not find a connection between '{target}' and '{source}' because they are not part "
        "of the same tree. Tf has two or more unconnected trees."
    )
