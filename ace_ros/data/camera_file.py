# SPDX-License-Identifier: Apache-2.0
"""Cameras from files: a matrix or focal length as text, or the YAML of ROS's camera calibrator."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from ace_ros.data.lens import read_lens
from ace_ros.errors import AceError, CameraError
from ace_ros.geometry.camera import Camera

MAX_BYTES = 1 << 16
REQUIRED = ("image_width", "image_height", "camera_matrix", "distortion_coefficients")


def read_camera(path: Path, size: tuple[int, int]) -> Camera:
    """Return the camera of an image of `size` (width, height).

    A .txt holds a 3x3 matrix or one focal length, for that size; a .yaml is what ROS drivers load
    (image_width, camera_matrix, distortion_model ...), for its own size, which is rescaled when the
    image has the same proportions. Raises CameraError naming the file.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode()
        camera = _from_yaml(text) if path.suffix in (".yaml", ".yml") else _from_text(text, size)
    except OSError as error:
        raise CameraError(f"{path}: calibration cannot be read: {error.strerror or error}") from error
    except (AceError, KeyError, TypeError, ValueError) as error:
        raise CameraError(f"{path}: not a usable calibration: {error}") from error
    if camera.size == size:
        return camera
    if not math.isclose(camera.size[0] * size[1], camera.size[1] * size[0], rel_tol=0.01):
        raise CameraError(
            f"{path}: is for images of {camera.size[0]}x{camera.size[1]}, this one is {size[0]}x{size[1]}"
        )
    return camera.resize(*size)


def _from_text(text: str, size: tuple[int, int]) -> Camera:
    values = [float(word) for word in text.split()]
    if len(values) == 1:
        f, (width, height) = values[0], size
        values = [f, 0.0, (width - 1) / 2, 0.0, f, (height - 1) / 2, 0.0, 0.0, 1.0]
    if len(values) != 9:
        raise CameraError(f"holds {len(values)} numbers, expected a 3x3 matrix or one focal length")
    return Camera(torch.tensor(values, dtype=torch.float64).reshape(3, 3), size)


def _from_yaml(text: str) -> Camera:
    try:
        import yaml
    except ImportError as error:
        raise CameraError("reading YAML needs PyYAML: pip install pyyaml") from error
    try:
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CameraError(f"not YAML: {str(error).splitlines()[0]}") from error
    missing = [key for key in REQUIRED if not isinstance(content, dict) or key not in content]
    if missing:
        raise CameraError(f"has no {', '.join(missing)}; expected the file of ROS's camera calibrator")
    K = torch.tensor(content["camera_matrix"]["data"], dtype=torch.float64).reshape(3, 3)
    coefficients = content["distortion_coefficients"]["data"]
    model, distortion = read_lens(str(content.get("distortion_model", "plumb_bob")), coefficients, "it")
    return Camera(K, (int(content["image_width"]), int(content["image_height"])), model, distortion)
