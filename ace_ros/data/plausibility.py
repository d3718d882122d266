# SPDX-License-Identifier: Apache-2.0
"""What a camera or a drive can hardly be: another unit or another grid than metres and pixels, as a rule.

Importers, `ace_ros map` and the mapper ask here. What cannot be mapped is refused; the rest is a warning
that says what was seen, for there are such cameras and such places.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera

log = logging.getLogger(__name__)

# Focal lengths outside these multiples of the image's longer side are a mistake of units.
MIN_FOCAL, MAX_FOCAL = 0.05, 50.0
WIDEST_DEG, NARROWEST_DEG = 170.0, 1.0
# A principal point farther from the centre, as a share of the size, is worth a warning.
MAX_CENTRE_OFFSET = 0.2
# Farther to the right and the bottom than these shares of both sides, it is that of a larger image.
MAX_CENTRE_SHARE = 0.9
# In metres. A robot that is photographed once in 10 m, or drives 100 m/s, is given in millimetres.
MAX_STEP_M, MAX_SPEED = 10.0, 100.0
FAR_FROM_ORIGIN_M = 50_000.0
# Of the median of known depth: nearer than any camera sees sharply, farther than any depth camera sees.
NEAREST_DEPTH_MM, FARTHEST_DEPTH_MM = 50, 40_000


class Posed(Protocol):
    """A frame: T_map_camera (4, 4), its camera, and its stamp in nanoseconds, None where it has none."""

    @property
    def T_map_camera(self) -> Any: ...
    @property
    def camera(self) -> Camera: ...
    @property
    def stamp_ns(self) -> int | None: ...


def require_fitting(camera: Camera) -> None:
    """Raise CameraError where the intrinsics cannot be those of an image of the camera's size."""
    (fx, _, cx), (_, fy, cy), _ = camera.matrix.tolist()
    width, height = camera.size
    side = max(width, height)
    if not (-0.5 <= cx <= width - 0.5 and -0.5 <= cy <= height - 0.5):
        raise CameraError(f"principal point ({cx:g}, {cy:g}) lies outside its {width}x{height} image")
    if cx > MAX_CENTRE_SHARE * width and cy > MAX_CENTRE_SHARE * height:
        raise CameraError(
            f"principal point ({cx:g}, {cy:g}) lies in the corner of its {width}x{height} image; the "
            "calibration is that of an image twice as large"
        )
    if not all(MIN_FOCAL * side <= focal <= MAX_FOCAL * side for focal in (fx, fy)):
        raise CameraError(
            f"focal length ({fx:g}, {fy:g}) does not fit a {width}x{height} image; expected pixels"
        )


def centre_doubt(camera: Camera) -> str:
    """Return what is doubtful in a principal point, empty where nothing is."""
    cx, cy = camera.matrix[:2, 2].tolist()
    width, height = camera.size
    offset = max(abs(cx - (width - 1) / 2) / width, abs(cy - (height - 1) / 2) / height)
    if offset <= MAX_CENTRE_OFFSET:
        return ""
    return (
        f"principal point ({cx:g}, {cy:g}) is far from the centre of its {width}x{height} image; is the "
        "calibration that of another image size?"
    )


def focal_doubt(camera: Camera) -> str:
    """Return what is doubtful in a focal length, empty where nothing is."""
    focal, side = float(camera.matrix[0, 0]), camera.size[0]
    view_deg = 2 * math.degrees(math.atan(0.5 * side / focal))
    if NARROWEST_DEG <= view_deg <= WIDEST_DEG:
        return ""
    return (
        f"a focal length of {focal:g} pixels is an angle of view of {view_deg:.3g} degrees in an image "
        f"{side} wide; is it in millimetres, or of another image size?"
    )


def drive_doubts(
    positions: np.ndarray, stamps: Sequence[int | None], cameras: Iterable[Camera]
) -> list[str]:
    """Return what is doubtful in a drive: sentences, none where all is well.

    Args:
        positions: Where the camera was (N, 3), in metres of the map's frame, in the order of the drive.
        stamps: In nanoseconds, None where there is none.
        cameras: Those that were used.
    """
    if not len(positions):
        return []
    doubts = {focal_doubt(camera) for camera in cameras}
    first = sorted(filter(None, doubts))[:1]
    return [*first, *filter(None, (_far(positions), _steps(positions, stamps)))]


def depth_doubt(depth_mm: np.ndarray) -> str:
    """Return what is doubtful in a depth image (h, w) in millimetres, empty where nothing is."""
    known = depth_mm[depth_mm > 0]
    median = float(np.median(known)) if known.size else float(NEAREST_DEPTH_MM)
    if NEAREST_DEPTH_MM <= median <= FARTHEST_DEPTH_MM:
        return ""
    return f"the median depth is {median / 1000:g} m; expected millimetres, is it in another unit?"


def metres_doubt(depth: np.ndarray) -> str:
    """Return what is doubtful in a depth image (h, w) that should be metres; empty where nothing is."""
    known = depth[np.isfinite(depth) & (depth > 0)]
    median = float(np.median(known)) if known.size else 0.0
    if median * 1000 <= FARTHEST_DEPTH_MM:
        return ""
    return f"the median depth is {median:g} m; 32FC1 is in metres, are these millimetres?"


def _far(positions: np.ndarray) -> str:
    centre = np.median(positions, axis=0)
    if np.abs(centre).max() < FAR_FROM_ORIGIN_M:
        return ""
    x, y, z = centre
    return (
        f"the cameras are at about ({x:.0f}, {y:.0f}, {z:.0f}) m, as in UTM or another grid of the earth; "
        "point clouds and many tools have 32 bits and are off by centimetres to metres there: subtract an "
        "origin"
    )


def _steps(positions: np.ndarray, stamps: Sequence[int | None]) -> str:
    if len(positions) < 3:
        return ""
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    step = float(np.median(steps))
    if None not in stamps:
        seconds = np.diff(np.array(stamps, np.int64)) / 1e9
        moving = seconds > 0
        speed = float(np.median(steps[moving] / seconds[moving])) if moving.any() else 0.0
        if speed > MAX_SPEED:
            return (
                f"the camera moves at {speed:.0f} m/s in the median; expected metres, is it in millimetres?"
            )
        return ""
    if step > MAX_STEP_M:
        return f"the camera moves {step:.0f} m from image to image in the median; is it in millimetres?"
    return ""


def warn_of_drive(place: Path, frames: Sequence[Posed]) -> None:
    """Log what is doubtful in frames of a place."""
    positions = np.array([np.asarray(frame.T_map_camera)[:3, 3] for frame in frames]).reshape(-1, 3)
    cameras = {id(frame.camera): frame.camera for frame in frames}.values()
    for doubt in drive_doubts(positions, [frame.stamp_ns for frame in frames], cameras):
        log.warning("%s: %s", place, doubt)


@lru_cache(maxsize=256)
def warn_once(folder: Path, doubt: str) -> None:
    """Log what is doubtful in a folder, once; nothing where `doubt` is empty."""
    if doubt:
        log.warning("%s: %s", folder, doubt)
