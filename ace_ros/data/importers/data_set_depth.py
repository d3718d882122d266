# SPDX-License-Identifier: Apache-2.0
"""The depth images of RGB-D data sets, as the colour cameras see them."""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path

import numpy as np

from ace_ros.data.depth_image import check_aspect, millimetres, read_depth, seen_by
from ace_ros.errors import SceneError
from ace_ros.files.outside import refusing
from ace_ros.geometry.camera import Camera

LOST_MM = 65_535  # what a Kinect writes where it saw nothing
TUM_UNITS_PER_M = 5000.0
TUM_MAX_DEPTH_GAP_NS = 20_000_000  # of the nearest depth image; colour and depth come at 30 Hz each


class DepthBeside:
    """The depth image in a file, of a depth camera with intrinsics (3, 3) beside the colour camera."""

    def __init__(self, path: Path, matrix: np.ndarray) -> None:
        self._path, self._matrix = path, matrix

    def __call__(self, camera: Camera) -> np.ndarray:
        """Return what the colour camera sees, (h, w) in millimetres. Raises SceneError."""
        depth_mm = read_depth(self._path)
        with refusing(SceneError, self._path, "no depth beside its image"):
            check_aspect((depth_mm.shape[1], depth_mm.shape[0]), camera.size)
            return seen_by(camera, np.where(depth_mm == LOST_MM, 0, depth_mm), self._matrix)


class TumDepth:
    """A depth image of the TUM RGB-D benchmark: registered to the colour image, in fifths of a millimetre."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, camera: Camera) -> np.ndarray:
        """Return the depth image (h, w) in millimetres. Raises SceneError."""
        return millimetres(read_depth(self._path), 1000.0 / TUM_UNITS_PER_M)


def nearest_tum_depth(source: Path, depths: list[tuple[int, str]], stamp_ns: int) -> TumDepth | None:
    """Return the depth image, of (nanoseconds, name) in ascending order, that belongs to a stamp."""
    after = bisect_left(depths, (stamp_ns, ""))
    near = [(abs(stamp - stamp_ns), name) for stamp, name in depths[max(0, after - 1) : after + 1]]
    gap_ns, name = min(near, default=(TUM_MAX_DEPTH_GAP_NS + 1, ""))
    return TumDepth(source / name) if gap_ns <= TUM_MAX_DEPTH_GAP_NS else None
