# SPDX-License-Identifier: Apache-2.0
"""Depth images: depth along the optical axis in whole millimetres, uint16 (h, w), 0 where it is unknown.

On disk they are 16-bit grey PNG files, depth/NAME.png beside the image rgb/NAME.*. A depth image shows
what its colour image shows, from the same place and with the same distortion; only its size may be
another one.
"""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ace_ros.data.image_decoding import as_pixels
from ace_ros.data.image_file import image_header, read_unchanged
from ace_ros.data.plausibility import depth_doubt, metres_doubt, warn_once
from ace_ros.data.scene import DEPTH_FOLDER, Scene
from ace_ros.errors import CameraError, SceneError
from ace_ros.geometry.camera import Camera

MAX_DEPTH_MM = 65_535  # what 16 bits hold; farther is unknown
ASPECT_TOLERANCE = 0.01
DEPTH_SAMPLES = 5  # images of a scene whose unit is looked at

# sensor_msgs encodings of depth (REP-118): bytes per pixel, millimetres per unit.
DEPTH_ENCODINGS = {"16UC1": (2, 1.0), "mono16": (2, 1.0), "32FC1": (4, 1000.0)}


def require_depth(scene: Scene) -> None:
    """Raise SceneError unless the scene has depth images and all of them can belong to their images.

    Only headers are read.
    """
    folder = scene.folder / scene.split / DEPTH_FOLDER
    if not any(frame.depth_path for frame in scene.frames):
        raise SceneError(
            f"{folder}: has no depth image of any of {len(scene.frames)} images; expected 16-bit grey PNG "
            f"files in millimetres, named like those in {scene.split}/rgb"
        )
    for frame in scene.frames:
        if frame.depth_path:
            _check_header(frame.depth_path, frame.camera.size)


def warn_of_depth(scene: Scene) -> None:
    """Log where the depth images of a scene, of which some are looked at, are hardly in millimetres."""
    paths = [frame.depth_path for frame in scene.frames if frame.depth_path]
    samples = []
    for path in paths[:: max(1, len(paths) // DEPTH_SAMPLES)]:
        with suppress(SceneError):  # said where that image is used
            samples.append(read_depth(path)[::8, ::8].ravel())
    if samples:
        warn_once(scene.folder / scene.split / DEPTH_FOLDER, depth_doubt(np.concatenate(samples)))


def _check_header(path: Path, of_image: tuple[int, int]) -> None:
    header = image_header(path)
    if header.kind != "PNG":
        raise SceneError(f"{path}: is a {header.kind} image, expected depth as a 16-bit grey PNG")
    if (header.bits, header.colours) != (16, "grey"):
        found = f"{header.bits}-bit {header.colours}"
        raise SceneError(f"{path}: is a {found} PNG, expected 16-bit grey with depth in millimetres")
    try:
        check_aspect(header.size, of_image)
    except CameraError as error:
        raise SceneError(f"{path}: {error}") from error


def read_depth(path: Path) -> np.ndarray:
    """Return the depth image in a file, uint16 (h, w) in millimetres. Raises SceneError."""
    depth_mm = read_unchanged(path)
    if depth_mm.dtype != np.uint16 or depth_mm.ndim != 2:
        found = f"{depth_mm.dtype} {depth_mm.shape}"
        raise SceneError(f"{path}: has pixels {found}, expected 16-bit grey with depth in millimetres")
    return depth_mm


def encode_depth(depth_mm: np.ndarray) -> bytes:
    """Return a depth image as the contents of a file. Raises CameraError for another type or shape."""
    if depth_mm.dtype != np.uint16 or depth_mm.ndim != 2 or not depth_mm.size:
        raise CameraError(f"depth must be uint16 of shape (h, w), got {depth_mm.dtype} {depth_mm.shape}")
    return bytes(cv2.imencode(".png", depth_mm, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def millimetres(depth: np.ndarray, per_unit: float) -> np.ndarray:
    """Return depths of any unit and type as uint16 in millimetres; 0 where they are not positive, not
    finite or beyond MAX_DEPTH_MM.
    """
    mm = np.round(np.nan_to_num(depth.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0) * per_unit)
    return np.where((mm > 0) & (mm <= MAX_DEPTH_MM), mm, 0).astype(np.uint16)


def depth_of_message(message: Any) -> np.ndarray:
    """Return the depth image (h, w) of a sensor_msgs/Image in 16UC1 (mm) or 32FC1 (m). Raises CameraError."""
    encoding = getattr(message, "encoding", "")
    if encoding not in DEPTH_ENCODINGS:
        raise CameraError(f"depth image has the encoding {encoding!r}, expected {', '.join(DEPTH_ENCODINGS)}")
    size, per_unit = DEPTH_ENCODINGS[encoding]
    height, width = int(message.height), int(message.width)
    raw = as_pixels(encoding, (height, width, 1), int(message.step), size, message.data)
    kind = (">" if message.is_bigendian else "<") + ("u2" if size == 2 else "f4")
    depth = raw.view(kind)
    depth_mm = depth.astype(np.uint16) if size == 2 else millimetres(depth, per_unit)
    if size == 4 and not depth_mm.any() and (doubt := metres_doubt(depth)):
        raise CameraError(doubt)
    return depth_mm


def check_aspect(size: tuple[int, int], of_image: tuple[int, int]) -> None:
    """Raise CameraError where a depth image (width, height) has not the proportions of its image."""
    if not math.isclose(size[0] * of_image[1], size[1] * of_image[0], rel_tol=ASPECT_TOLERANCE):
        raise CameraError(
            f"depth of {size[0]}x{size[1]} is not registered to its image of {of_image[0]}x{of_image[1]}: "
            "expected the same proportions"
        )


def seen_by(camera: Camera, depth_mm: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return depth (h, w) of a depth camera as an undistorted camera beside it sees it, in as many rows.

    `matrix` (3, 3) has the intrinsics of the depth camera. Both are taken to be at one place and
    to look one way: of two lenses 3 cm apart, things 2 m away are then off by 1 % of the image.
    """
    height = len(depth_mm)
    width = round(camera.size[0] * height / camera.size[1])
    to_depth = matrix @ np.linalg.inv(camera.resize(width, height).matrix.numpy())
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(depth_mm, to_depth[:2], (width, height), flags=flags)
