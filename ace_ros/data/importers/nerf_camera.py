# SPDX-License-Identifier: Apache-2.0
"""The intrinsics in transforms.json, in the dialects of the tools that write it.

A key that is not known and could change the lens is refused by name: read as another lens, an image is
tens of degrees off at its border.
"""

from __future__ import annotations

import logging
import math
import re
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ace_ros.data.importers.colmap import shift_half_pixel
from ace_ros.data.lens import make_lens
from ace_ros.errors import SceneError
from ace_ros.files.json_text import is_number
from ace_ros.files.limits import MAX_SIDE
from ace_ros.geometry.camera import Camera

log = logging.getLogger(__name__)

PINHOLE, RADIAL, RATIONAL, FISHEYE = "pinhole", "plumb_bob", "rational_polynomial", "equidistant"
CAMERA_MODELS = {
    "": RADIAL, "PERSPECTIVE": RADIAL, "PINHOLE": PINHOLE, "SIMPLE_PINHOLE": PINHOLE,
    "SIMPLE_RADIAL": RADIAL, "RADIAL": RADIAL, "OPENCV": RADIAL, "FULL_OPENCV": RATIONAL,
    "OPENCV_FISHEYE": FISHEYE, "FISHEYE": FISHEYE,
    "SIMPLE_RADIAL_FISHEYE": FISHEYE, "RADIAL_FISHEYE": FISHEYE, "SIMPLE_FISHEYE": FISHEYE,
}  # fmt: skip
COEFFICIENTS = {
    PINHOLE: (),
    RADIAL: ("k1", "k2", "p1", "p2", "k3"),
    RATIONAL: ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    FISHEYE: ("k1", "k2", "k3", "k4"),
}
# Keys that are read, and keys that say nothing about the lens.
READ = {
    "w", "h", "fl_x", "fl_y", "cx", "cy", "camera_angle_x", "camera_angle_y", "x_fov", "y_fov",
    "camera_model", "is_fisheye", "frames", "file_path", "transform_matrix", *COEFFICIENTS[RATIONAL],
}  # fmt: skip
ABOUT_OTHER_THINGS = {
    "fisheye_crop_radius", "mask_path", "camera_label", "camera_name", "camera_id", "camera_idx", "sharpness",
    "applied_transform", "applied_scale", "scale", "integer_depth_scale", "depth_unit_scale_factor",
    "aabb_scale", "render_aabb", "orientation_override", "mask_color", "camera_path", "cameras_file",
}  # fmt: skip
FOCAL = ("fl_x", "fl_y", "camera_angle_x", "camera_angle_y", "x_fov", "y_fov")
MAX_FOCAL_RATIO = 1.05  # of two that are given for one camera: files have a few digits
# How names of keys begin or what they contain that tell of a lens, its image or its shutter.
OF_THE_LENS = re.compile(
    r"(?i)^([kpsbcf]_?\d+|[fc][xy]|[fkdp]|s_?[xy]|xi|alpha|beta|gamma|tau_?[xy]?|width|height|res(olution)?)$|"
    r"^(params?|opencv)$|aspect|coeff|calib|"
    r"lens|camera|fish|dist(ort|_coef|$)|focal|fov|fl_|radial|tangent|skew|intrins|theta|latlong|lat_long|"
    r"equirect|spheric|panora|ortho|projection|omni|principal|shutter|crop|binning|rectif|prism|polynom"
)


def frame_values(contents: dict[str, Any], frame: dict[str, Any]) -> dict[str, Any]:
    """Return what holds for a frame: its own values over those of the file.

    Its focal length, in whichever unit, stands in place of all that the file says of one.
    """
    focal = set(FOCAL) & frame.keys()
    shared = {key: value for key, value in contents.items() if not focal or key not in FOCAL}
    return {**shared, **frame}


def nerf_camera(values: dict[str, Any], image_size: tuple[int, int]) -> Camera:
    """Return the camera of a frame of transforms.json, whose image is of image_size (width, height).

    `values` are those of the frame over those of the file. Raises SceneError or CameraError naming the key.
    """
    _refuse_other_lenses(values)
    # The intrinsics may be those of another size than the images that are there.
    size = _side(values, "w", image_size[0]), _side(values, "h", image_size[1])
    if not math.isclose(size[0] * image_size[1], size[1] * image_size[0], rel_tol=0.01):
        raise SceneError(
            f"w and h are {size[0]}x{size[1]}, the image is {image_size[0]}x{image_size[1]}: expected the "
            "same proportions"
        )
    fx = _focal(values, "fl_x", ("camera_angle_x", "x_fov"), size[0])
    fy = _focal(values, "fl_y", ("camera_angle_y", "y_fov"), size[1])
    if fx is None and fy is None:
        raise SceneError("it has no fl_x and no camera_angle_x, expected a focal length")
    fx, fy = (fy if fx is None else fx), (fx if fy is None else fy)
    cx, cy = shift_half_pixel(number(values, "cx", size[0] / 2), number(values, "cy", size[1] / 2))
    K = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
    model, distortion = _lens(values)
    return Camera(K, size, model, distortion).resize(*image_size)


def number(values: dict[str, Any], key: str, default: float | None = None) -> float:
    """Return the number under a key. Raises SceneError naming it."""
    value = values.get(key, default)
    if value is None or not is_number(value):
        raise SceneError(f"{key} is {str(value)[:80]}, expected a number")
    return float(value)


def _lens(values: dict[str, Any]) -> tuple[str, Tensor | None]:
    """Return model and distortion (D,) of a frame. Raises SceneError for one that is none of ours."""
    name = str(values.get("camera_model") or "").upper()
    if name not in CAMERA_MODELS:
        known = ", ".join(filter(None, CAMERA_MODELS))
        raise SceneError(f"camera_model is {name[:80]!r}, expected one of {known}")
    model = CAMERA_MODELS[name]
    fisheye = values.get("is_fisheye", False)
    if not isinstance(fisheye, (bool, int)):
        raise SceneError(f"is_fisheye is {str(fisheye)[:80]!r}, expected true or false")
    if fisheye and name and model != FISHEYE:
        raise SceneError(f"is_fisheye is true, but camera_model is {name}; expected one or the other")
    if fisheye:
        model = FISHEYE
    if model == RADIAL and not name and number(values, "k4", 0.0):
        raise SceneError("k4 is given without camera_model or is_fisheye, which say what lens it is of")
    unused = [key for key in COEFFICIENTS[RATIONAL] if key not in COEFFICIENTS[model]]
    given = [key for key in unused if number(values, key, 0.0)]
    if given:
        raise SceneError(f"{', '.join(given)} cannot be of a lens of model {name or model}")
    coefficients = [number(values, key, 0.0) for key in COEFFICIENTS[model]]
    if model != FISHEYE and not any(coefficients):
        return PINHOLE, None
    return make_lens(model, coefficients, "it")


def _focal(values: dict[str, Any], key: str, angles: tuple[str, str], side: int) -> float | None:
    """Return a focal length in pixels, given so, by an angle in radians or by one in degrees.

    Raises SceneError where they disagree: one is that of another lens, or of images of another size.
    """
    found = {key: number(values, key)} if key in values else {}
    for name, to_radians in zip(angles, (1.0, math.pi / 180.0), strict=True):
        if name in values:
            angle = number(values, name) * to_radians
            if not 0.0 < angle < math.pi:
                raise SceneError(f"{name} is {values[name]}, expected an angle of view below 180 degrees")
            found[name] = 0.5 * side / math.tan(0.5 * angle)
    focals = list(found.values())
    if focals and min(focals) > 0 and max(focals) > MAX_FOCAL_RATIO * min(focals):
        said = " and ".join(f"{name} {focal:.1f}" for name, focal in found.items())
        raise SceneError(f"the focal length is by {said} px in an image {side} px long; expected one")
    return focals[0] if focals else None


def _side(values: dict[str, Any], key: str, default: int) -> int:
    value = number(values, key, default)
    if not (1 <= value <= MAX_SIDE and value.is_integer()):
        raise SceneError(f"{key} is {value:g}, expected a number of pixels")
    return int(value)


def _refuse_other_lenses(values: dict[str, Any]) -> None:
    """Raise SceneError for a key that is not read, says something and could change the lens."""
    unread = [key for key in values if key not in READ and key not in ABOUT_OTHER_THINGS]
    said = [key for key in unread if _says_something(values[key])]
    of_lens = [key for key in said if OF_THE_LENS.search(key)]
    if of_lens:
        raise SceneError(
            f"{of_lens[0][:80]} is {str(values[of_lens[0]])[:80]}: this key is not known and could change "
            "the lens; convert the images to one of the models PINHOLE, OPENCV or OPENCV_FISHEYE"
        )
    for key in said:
        _say_unread(key)


def _says_something(value: Any) -> bool:
    """Return whether a value is not off, empty or all zeros."""
    return any(map(_says_something, value)) if isinstance(value, (list, tuple)) else bool(value)


@cache
def _say_unread(key: str) -> None:
    log.info("transforms.json: the key %.80s is not read", key)
