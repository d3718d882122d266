# SPDX-License-Identifier: Apache-2.0
"""transforms.json, as NeRF tools write it: OpenGL cameras and intrinsics from COLMAP."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ace_ros.data.image_file import IMAGE_SUFFIXES, image_size
from ace_ros.data.importers.colmap import shift_half_pixel
from ace_ros.data.importers.new_scene import PosedImage
from ace_ros.errors import AceError, SceneError
from ace_ros.files.json_text import are_numbers, is_number, parse_json
from ace_ros.files.limits import MAX_IMAGES, MAX_JSON_BYTES, MAX_SIDE
from ace_ros.files.names import path_inside
from ace_ros.files.outside import read_bytes
from ace_ros.geometry.camera import Camera


def read_nerf(source: Path) -> list[PosedImage]:
    """Read transforms.json, or transforms_train.json and _test.json; raises SceneError."""
    if (source / "transforms.json").exists():
        return _read(source / "transforms.json", None)
    return [
        image for split in ("train", "test") for image in _read(source / f"transforms_{split}.json", split)
    ]


def to_optical_axes(T_map_opengl: np.ndarray) -> np.ndarray:
    """Return T_map_camera (4, 4) of an OpenGL camera: x right, y up, looking along -z."""
    return T_map_opengl @ np.diag([1.0, -1.0, -1.0, 1.0])


def _read(path: Path, split: str | None) -> list[PosedImage]:
    contents = parse_json(read_bytes(path, MAX_JSON_BYTES, SceneError), path, SceneError)
    frames = contents.get("frames") if isinstance(contents, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise SceneError(f"{path}: not a usable transforms.json: it has no list of frames")
    if len(frames) > MAX_IMAGES:
        raise SceneError(f"{path}: has {len(frames)} frames, at most {MAX_IMAGES} are read")
    images = []
    for number, frame in enumerate(frames):
        try:
            images.append(_read_frame(path, {**contents, **frame}, split))
        except AceError as error:
            raise SceneError(f"{path}: not a usable transforms.json: frame {number}: {error}") from error
    return sorted(images, key=lambda image: image.name)


def _read_frame(path: Path, values: dict[str, Any], split: str | None) -> PosedImage:
    image = path_inside(path.parent, values.get("file_path"), "file_path", SceneError)
    if image.suffix.lower() not in IMAGE_SUFFIXES:  # synthetic scenes leave it out
        image = image.with_name(image.name + ".png")
    name = "-".join(image.relative_to(path.parent).parts)
    T = to_optical_axes(_matrix(values.get("transform_matrix")))
    return PosedImage(image, name.removesuffix(image.suffix), T, _camera(values, image), split)


def _matrix(rows: Any) -> np.ndarray:
    if not isinstance(rows, list) or len(rows) != 4 or not all(are_numbers(row, 4) for row in rows):
        raise SceneError(f"transform_matrix is {str(rows)[:80]}, expected 4 rows of 4 numbers")
    return np.array(rows, np.float64)


def _number(values: dict[str, Any], key: str, default: float | None = None) -> float:
    value = values.get(key, default)
    if value is None or not is_number(value):
        raise SceneError(f"{key} is {str(value)[:80]}, expected a number")
    return float(value)


def _side(values: dict[str, Any], key: str, default: int) -> int:
    value = _number(values, key, default)
    if not (1 <= value <= MAX_SIDE and value.is_integer()):
        raise SceneError(f"{key} is {value:g}, expected a number of pixels")
    return int(value)


def _camera(values: dict[str, Any], image: Path) -> Camera:
    width, height = image_size(image)
    # The intrinsics may be those of another size than the images that are there.
    size = (_side(values, "w", width), _side(values, "h", height))
    if "fl_x" in values:
        fx = _number(values, "fl_x")
    else:
        angle = _number(values, "camera_angle_x")
        if not 0.0 < angle < math.pi:
            raise SceneError(f"camera_angle_x is {angle:g}, expected radians below pi")
        fx = 0.5 * size[0] / math.tan(0.5 * angle)
    fy = _number(values, "fl_y", fx)
    centre = _number(values, "cx", size[0] / 2), _number(values, "cy", size[1] / 2)
    cx, cy = shift_half_pixel(*centre)
    K = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
    fisheye = "FISHEYE" in str(values.get("camera_model", ""))
    keys = ("k1", "k2", "k3", "k4") if fisheye else ("k1", "k2", "p1", "p2", "k3")
    distortion = K.new_tensor([_number(values, key, 0.0) for key in keys])
    if fisheye:
        return Camera(K, size, "equidistant", distortion).resize(width, height)
    if distortion.any():
        return Camera(K, size, "plumb_bob", distortion).resize(width, height)
    return Camera(K, size).resize(width, height)
