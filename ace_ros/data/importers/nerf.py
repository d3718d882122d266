# SPDX-License-Identifier: Apache-2.0
"""transforms.json, as NeRF tools write it: OpenGL cameras and intrinsics from COLMAP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ace_ros.data.image_file import IMAGE_SUFFIXES, image_size
from ace_ros.data.importers.nerf_camera import frame_values, nerf_camera
from ace_ros.data.importers.new_scene import PosedImage
from ace_ros.errors import AceError, SceneError
from ace_ros.files.json_text import are_numbers, parse_json
from ace_ros.files.limits import MAX_IMAGES, MAX_JSON_BYTES
from ace_ros.files.names import path_inside
from ace_ros.files.outside import read_bytes


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
            images.append(_read_frame(path, frame_values(contents, frame), split))
        except AceError as error:
            raise SceneError(f"{path}: not a usable transforms.json: frame {number}: {error}") from error
    return sorted(images, key=lambda image: image.name)


def _read_frame(path: Path, values: dict[str, Any], split: str | None) -> PosedImage:
    image = path_inside(path.parent, values.get("file_path"), "file_path", SceneError)
    if image.suffix.lower() not in IMAGE_SUFFIXES:  # synthetic scenes leave it out
        image = image.with_name(image.name + ".png")
    name = "-".join(image.relative_to(path.parent).parts)
    T = to_optical_axes(_matrix(values.get("transform_matrix")))
    return PosedImage(
        image, name.removesuffix(image.suffix), T, nerf_camera(values, image_size(image)), split
    )


def _matrix(rows: Any) -> np.ndarray:
    """Return transform_matrix (4, 4), of which the last row may be left out. Raises SceneError."""
    if not isinstance(rows, list) or len(rows) not in (3, 4) or not all(are_numbers(row, 4) for row in rows):
        raise SceneError(f"transform_matrix is {str(rows)[:80]}, expected 3 or 4 rows of 4 numbers")
    return np.array([*rows[:3], [0.0, 0.0, 0.0, 1.0]] if len(rows) == 3 else rows, np.float64)
