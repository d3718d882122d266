# SPDX-License-Identifier: Apache-2.0
"""transforms.json, as NeRF tools write it: OpenGL cameras and intrinsics from COLMAP."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ace_ros.data.image_file import IMAGE_SUFFIXES, image_size
from ace_ros.data.importers.colmap import shift_half_pixel
from ace_ros.data.importers.new_scene import PosedImage
from ace_ros.errors import CameraError, SceneError
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
    try:
        contents = json.loads(path.read_text())
        images = [_read_frame(path, {**contents, **frame}, split) for frame in contents["frames"]]
    except OSError as error:
        raise SceneError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, RecursionError, CameraError) as error:
        raise SceneError(f"{path}: not a usable transforms.json: {error!r}") from error
    return sorted(images, key=lambda image: image.name)


def _read_frame(path: Path, values: dict[str, Any], split: str | None) -> PosedImage:
    image = path.parent / values["file_path"]
    if image.suffix.lower() not in IMAGE_SUFFIXES:  # synthetic scenes leave it out
        image = image.with_name(image.name + ".png")
    T = to_optical_axes(np.array(values["transform_matrix"], np.float64).reshape(4, 4))
    name = "-".join(part for part in Path(values["file_path"]).parts if part not in (".", "..", "/"))
    return PosedImage(image, name.removesuffix(image.suffix), T, _camera(values, image), split)


def _camera(values: dict[str, Any], image: Path) -> Camera:
    width, height = image_size(image)
    # The intrinsics may be those of another size than the images that are there.
    size = (int(values.get("w", width)), int(values.get("h", height)))
    if "fl_x" in values:
        fx = float(values["fl_x"])
    else:
        fx = 0.5 * size[0] / math.tan(0.5 * float(values["camera_angle_x"]))
    fy = float(values.get("fl_y", fx))
    centre = float(values.get("cx", size[0] / 2)), float(values.get("cy", size[1] / 2))
    cx, cy = shift_half_pixel(*centre)
    K = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
    fisheye = "FISHEYE" in str(values.get("camera_model", ""))
    keys = ("k1", "k2", "k3", "k4") if fisheye else ("k1", "k2", "p1", "p2", "k3")
    distortion = K.new_tensor([float(values.get(key, 0.0)) for key in keys])
    if fisheye:
        return Camera(K, size, "equidistant", distortion).resize(width, height)
    if distortion.any():
        return Camera(K, size, "plumb_bob", distortion).resize(width, height)
    return Camera(K, size).resize(width, height)
