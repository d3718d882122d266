# SPDX-License-Identifier: Apache-2.0
"""What readers of data sets share: tables of numbers, and cameras of which only a focal length is known."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from ace_ros.data.image_file import image_size
from ace_ros.errors import SceneError
from ace_ros.files.limits import MAX_TABLE_BYTES
from ace_ros.files.numbers import real
from ace_ros.files.outside import read_bytes
from ace_ros.geometry.camera import Camera


def table_text(path: Path) -> str:
    """Return the text of a table; raises SceneError."""
    return read_bytes(path, MAX_TABLE_BYTES, SceneError).decode(errors="replace")


def floats_of(path: Path, line: int, words: list[str], count: int) -> list[float]:
    """Return words of a line as so many numbers; raises SceneError naming it."""
    try:
        values = [real(word) for word in words]
    except ValueError as error:
        raise SceneError(f"{path}, line {line}: expected {count} numbers") from error
    if len(values) != count:
        raise SceneError(f"{path}, line {line}: has {len(values)} numbers, expected {count}")
    return values


def fitted(camera: Camera, path: Path) -> Camera:
    """Return the camera of a data set for an image that may have been resized.

    Raises SceneError where it has other proportions: it was cropped, who knows where.
    """
    (width, height), (own_width, own_height) = image_size(path), camera.size
    if not math.isclose(width * own_height, own_width * height, rel_tol=0.01):
        raise SceneError(
            f"{path}: is {width}x{height}, expected {own_width}x{own_height}, which the intrinsics of the "
            "data set are for, or the same proportions"
        )
    return camera.resize(width, height)


def central_camera(path: Path, focal_px: float) -> Camera:
    """Return a camera that looks through the middle of an image; raises SceneError."""
    width, height = image_size(path)
    K = [[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1]]
    return Camera(torch.tensor(K, dtype=torch.float64), (width, height))
