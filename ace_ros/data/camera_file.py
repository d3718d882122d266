# SPDX-License-Identifier: Apache-2.0
"""Cameras from files: a matrix or focal length as text, or the YAML of ROS's camera calibrator."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from ace_ros.data.lens import read_lens
from ace_ros.errors import AceError, CameraError
from ace_ros.files.json_text import are_numbers, is_whole
from ace_ros.files.limits import MAX_SIDE, MAX_TEXT_BYTES
from ace_ros.files.numbers import finite_numbers
from ace_ros.files.outside import read_text
from ace_ros.files.yaml_text import parse_yaml
from ace_ros.geometry.camera import Camera

REQUIRED = ("image_width", "image_height", "camera_matrix", "distortion_coefficients")


def read_camera(path: Path, size: tuple[int, int]) -> Camera:
    """Return the camera of an image of `size` (width, height).

    A .txt holds a 3x3 matrix or one focal length, for that size; a .yaml is what ROS drivers load
    (image_width, camera_matrix, distortion_model ...), for its own size, which is rescaled when the
    image has the same proportions. Raises CameraError naming the file.
    """
    text = read_text(path, MAX_TEXT_BYTES, CameraError)
    try:
        camera = _from_yaml(text) if path.suffix in (".yaml", ".yml") else _from_text(text, size)
    except AceError as error:
        raise CameraError(f"{path}: not a usable calibration: {error}") from error
    if camera.size == size:
        return camera
    if not math.isclose(camera.size[0] * size[1], camera.size[1] * size[0], rel_tol=0.01):
        raise CameraError(
            f"{path}: is for images of {camera.size[0]}x{camera.size[1]}, this one is {size[0]}x{size[1]}"
        )
    return camera.resize(*size)


def _from_text(text: str, size: tuple[int, int]) -> Camera:
    values = finite_numbers(text.split(), (9, 1), "a 3x3 matrix or one focal length", "text", CameraError)
    if len(values) == 1:
        f, (width, height) = values[0], size
        values = [f, 0.0, (width - 1) / 2, 0.0, f, (height - 1) / 2, 0.0, 0.0, 1.0]
    return Camera(torch.tensor(values, dtype=torch.float64).reshape(3, 3), size)


def _from_yaml(text: str) -> Camera:
    content = parse_yaml(text, "YAML", CameraError)
    missing = [key for key in REQUIRED if not isinstance(content, dict) or key not in content]
    if missing:
        raise CameraError(f"has no {', '.join(missing)}; expected the file of ROS's camera calibrator")
    K = torch.tensor(_data(content, "camera_matrix", 9), dtype=torch.float64).reshape(3, 3)
    size = content["image_width"], content["image_height"]
    if not all(is_whole(side, 1, MAX_SIDE) for side in size):
        raise CameraError(f"has an image of {str(size)[:80]}, expected width and height in pixels")
    coefficients = _data(content, "distortion_coefficients", None)
    model, distortion = read_lens(str(content.get("distortion_model", "plumb_bob")), coefficients, "it")
    return Camera(K, size, model, distortion)


def _data(content: dict[str, Any], key: str, count: int | None) -> list[float]:
    """Return the numbers under `key`: `data`, as many as `count` where that is known. Raises CameraError."""
    values = content[key].get("data") if isinstance(content[key], dict) else None
    if not isinstance(values, list) or not are_numbers(values, len(values) if count is None else count):
        expected = f"{count} numbers" if count else "a list of numbers"
        raise CameraError(f"has {key}.data {str(values)[:80]}, expected {expected}")
    return [float(value) for value in values]
