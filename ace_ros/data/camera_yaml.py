# SPDX-License-Identifier: Apache-2.0
"""Cameras in the YAML of several tools, all with the rules of camera_info."""

from __future__ import annotations

import re
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ace_ros.data.camera_info import camera_of_info
from ace_ros.data.lens import make_lens, read_lens
from ace_ros.errors import CameraError
from ace_ros.files.json_text import is_number, is_whole
from ace_ros.files.limits import MAX_SIDE
from ace_ros.files.numbers import real
from ace_ros.files.yaml_text import parse_yaml
from ace_ros.geometry.camera import Camera

EXPECTED = (
    "expected the file of ROS's camera calibrator or of OpenCV (image_width, image_height, camera_matrix, "
    "distortion_coefficients), a camera of kalibr, or a camera_info as ros2 topic echo prints it"
)
KALIBR_LENSES = {"radtan": "plumb_bob", "radial-tangential": "plumb_bob", "equidistant": "equidistant"}


def camera_of_yaml(text: str) -> Camera:
    """Return the camera in a YAML text. Raises CameraError with what is missing or wrong."""
    # OpenCV's first line and tags are no YAML of today.
    text = re.sub(r"\A%YAML:1\.0[^\n]*", "", text).replace("!!opencv-matrix", "")
    parts = [part for part in re.split(r"(?m)^---[ \t]*$", text) if part.strip()]
    cameras = [_camera_of(parse_yaml(part, "YAML", CameraError)) for part in parts or [text]]
    if any(_values(camera) != _values(cameras[0]) for camera in cameras):
        raise CameraError(f"it holds {len(cameras)} cameras that differ, expected one")
    return cameras[0]


def _camera_of(content: Any) -> Camera:
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise CameraError(f"it holds {str(content)[:80]!r}; {EXPECTED}")
    content = {key.lower(): value for key, value in content.items()}
    chain = [key for key in content if re.fullmatch(r"cam[0-9]+", key)]
    if len(chain) > 1:
        raise CameraError(
            f"it holds the cameras {', '.join(chain)[:80]}, expected one of them in a file of its own"
        )
    if chain and isinstance(content[chain[0]], dict):
        return _of_kalibr(content[chain[0]])
    if "intrinsics" in content:
        return _of_kalibr(content)
    if "k" in content:
        return _of_message(content)
    return _of_calibrator(content)


def _of_calibrator(content: dict[str, Any]) -> Camera:
    _require(content, "image_width", "image_height", "camera_matrix", "distortion_coefficients")
    for key in ("xi", "alpha", "mirror_parameters"):
        if content.get(key):
            raise CameraError(f"{key} is {str(content[key])[:80]}: an omnidirectional lens is none of ours")
    coefficients = _numbers(content, "distortion_coefficients")
    # OpenCV names no model: its solver gives eight coefficients and more for the rational one.
    of_opencv = "rational_polynomial" if len(coefficients) > 5 else "plumb_bob"
    of_opencv = "fisheye" if content.get("fisheye_model") else of_opencv
    name = content.get("distortion_model", of_opencv)
    lens = read_lens(str(name)[:80], coefficients, "it")
    size = _side(content["image_width"]), _side(content["image_height"])
    return Camera(_matrix(_numbers(content, "camera_matrix", 9)), size, *lens)


def _of_kalibr(content: dict[str, Any]) -> Camera:
    names = ("distortion_coeffs", "distortion_coefficients")
    key = names[1] if names[1] in content else names[0]
    _require(content, "camera_model", "intrinsics", "distortion_model", key, "resolution")
    model, lens = content["camera_model"], content["distortion_model"]
    if model != "pinhole" or (lens not in KALIBR_LENSES and lens != "none"):
        raise CameraError(
            f"it has the model {str(model)[:40]!r} with {str(lens)[:40]!r}, expected 'pinhole' with one of "
            f"{', '.join(KALIBR_LENSES)} or none"
        )
    fx, fy, cx, cy = _numbers(content, "intrinsics", 4)
    width, height = (_side(side) for side in _numbers(content, "resolution", 2))
    matrix = _matrix([fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0])
    return Camera(
        matrix, (width, height), *make_lens(KALIBR_LENSES.get(lens, "none"), _numbers(content, key), "it")
    )


def _of_message(content: dict[str, Any]) -> Camera:
    _require(content, "width", "height", "distortion_model", "d", "k")
    roi = content.get("roi", {})
    if not isinstance(roi, dict):
        raise CameraError(f"roi is {str(roi)[:80]}, expected x_offset, y_offset, width and height")
    region = {name: _count(roi, name) for name in ("x_offset", "y_offset", "width", "height")}
    info = SimpleNamespace(
        width=_side(content["width"]),
        height=_side(content["height"]),
        distortion_model=str(content["distortion_model"])[:80],
        d=_numbers(content, "d"),
        k=_numbers(content, "k", 9),
        p=None,
        roi=SimpleNamespace(**region),
        binning_x=_count(content, "binning_x"),
        binning_y=_count(content, "binning_y"),
    )
    return camera_of_info(info)


def _require(content: dict[str, Any], *keys: str) -> None:
    missing = [key for key in keys if key not in content]
    if missing:
        raise CameraError(f"it has no {', '.join(missing)}; {EXPECTED}")


def _numbers(content: dict[str, Any], key: str, count: int | None = None) -> list[float]:
    """Return the numbers under a key: a list, a list of rows, or what is under `data`. Raises CameraError."""
    values = content[key]
    values = values.get("data") if isinstance(values, dict) else values
    rows = values if isinstance(values, list) else [None]
    flat = [value for row in rows for value in (row if isinstance(row, list) else [row])]
    found: list[Any] = [None]
    with suppress(ValueError):  # YAML takes 1e-05 for a text
        found = [real(value) if isinstance(value, str) else value for value in flat]
    if not all(map(is_number, found)) or (count is not None and len(found) != count):
        expected = "numbers" if count is None else f"{count} numbers"
        raise CameraError(f"{key} is {str(values)[:80]}, expected {expected}")
    return [float(value) for value in found]


def _side(value: Any) -> int:
    if not is_number(value, 1, MAX_SIDE) or value != int(value):
        raise CameraError(f"the size of its images is {str(value)[:80]}, expected width and height in pixels")
    return int(value)


def _count(content: dict[str, Any], key: str) -> int:
    value = content.get(key, 0)
    if not is_whole(value, 0, MAX_SIDE):
        raise CameraError(f"{key} is {str(value)[:80]}, expected a number of pixels")
    return int(value)


def _matrix(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(3, 3)


def _values(camera: Camera) -> tuple[Any, ...]:
    distortion = [] if camera.distortion is None else camera.distortion.tolist()
    return camera.matrix.tolist(), camera.size, camera.model, distortion
