# SPDX-License-Identifier: Apache-2.0
"""Cameras from files: a matrix or focal length as text, or what tools write as YAML."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from ace_ros.data.camera_yaml import camera_of_yaml
from ace_ros.data.plausibility import centre_doubt, require_fitting, warn_once
from ace_ros.errors import AceError, CameraError
from ace_ros.files.limits import MAX_TEXT_BYTES
from ace_ros.files.numbers import finite_numbers, real
from ace_ros.files.outside import read_text
from ace_ros.geometry.camera import Camera


def read_camera(path: Path, size: tuple[int, int]) -> Camera:
    """Return the camera of an image of `size` (width, height).

    A text holds a 3x3 matrix or one focal length, for that size. YAML is the file of ROS's camera
    calibrator or of OpenCV, a camera of kalibr or a camera_info as `ros2 topic echo` prints it, for its own
    size, which is rescaled when the image has the same proportions. Raises CameraError naming the file.
    """
    text = read_text(path, MAX_TEXT_BYTES, CameraError)
    try:
        camera = _from_text(text, size) if _is_numbers(text) else camera_of_yaml(text)
        if camera.size != size:
            if not math.isclose(camera.size[0] * size[1], camera.size[1] * size[0], rel_tol=0.01):
                raise CameraError(
                    f"it is for images of {camera.size[0]}x{camera.size[1]}, this one is {size[0]}x{size[1]}"
                )
            camera = camera.resize(*size)
        require_fitting(camera)
    except AceError as error:
        raise CameraError(f"{path}: not a usable calibration: {error}") from error
    warn_once(path, centre_doubt(camera))
    return camera


def _is_numbers(text: str) -> bool:
    """Return whether a text begins with a number, or has nothing in it."""
    words = text.replace(",", " ").split()
    try:
        real(words[0] if words else "0")
    except ValueError:
        return False
    return True


def _from_text(text: str, size: tuple[int, int]) -> Camera:
    words = text.replace(",", " ").split()
    values = finite_numbers(words, (9, 1), "a 3x3 matrix or one focal length", "text", CameraError)
    if len(values) == 1:
        f, (width, height) = values[0], size
        values = [f, 0.0, (width - 1) / 2, 0.0, f, (height - 1) / 2, 0.0, 0.0, 1.0]
    return Camera(torch.tensor(values, dtype=torch.float64).reshape(3, 3), size)
