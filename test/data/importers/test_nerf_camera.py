# SPDX-License-Identifier: Apache-2.0
"""transforms.json in dialects: the right lens, or a refusal that names the key."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ace_ros.data.importers.nerf_camera import frame_values, nerf_camera
from ace_ros.errors import AceError

SIZE = (64, 48)
PLAIN = {"fl_x": 60.0, "fl_y": 61.0, "cx": 32.0, "cy": 24.0, "w": 64, "h": 48}
KS = {"k1": 0.1, "k2": 0.02, "k3": 0.003, "k4": 0.0004}


def lens(**values: Any) -> tuple[str, list[float]]:
    camera = nerf_camera({**PLAIN, **values}, SIZE)
    return camera.model, [] if camera.distortion is None else camera.distortion.tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ("pinhole", [])),
        ({"is_fisheye": True, **KS}, ("equidistant", list(KS.values()))),
        ({"is_fisheye": True, "camera_model": "OPENCV_FISHEYE", **KS}, ("equidistant", list(KS.values()))),
        ({"is_fisheye": False, "k1": 0.1}, ("plumb_bob", [0.1, 0, 0, 0, 0])),
        ({"camera_model": "OPENCV_FISHEYE"}, ("equidistant", [0, 0, 0, 0])),
        ({"camera_model": "RADIAL_FISHEYE", "k1": 0.1, "k2": 0.2}, ("equidistant", [0.1, 0.2, 0, 0])),
        ({"camera_model": "OPENCV", "k1": 0.1, "p2": 0.2, "k4": 0}, ("plumb_bob", [0.1, 0, 0, 0.2, 0])),
        ({"camera_model": "SIMPLE_PINHOLE"}, ("pinhole", [])),
        ({"camera_model": "FULL_OPENCV", "k6": 0.1}, ("rational_polynomial", [0, 0, 0, 0, 0, 0, 0, 0.1])),
        (
            {"aabb_scale": 16, "sharpness": 3.2, "applied_scale": 0.4, "fisheye_crop_radius": 40},
            ("pinhole", []),
        ),
        ({"rolling_shutter": [0, 0, 0, 0], "latlong": False, "my_note": "hello"}, ("pinhole", [])),
    ],
)
def test_a_dialect_gives_its_lens(values: dict[str, Any], expected: tuple[str, list[float]]) -> None:
    model, distortion = lens(**values)
    assert model == expected[0] and distortion == pytest.approx(expected[1])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"camera_model": "EQUIRECTANGULAR"}, "camera_model is 'EQUIRECTANGULAR', expected one of"),
        ({"camera_model": "FOV", "k1": 0.1}, "camera_model is 'FOV'"),
        ({"camera_model": "OPENCV", "is_fisheye": True}, "is_fisheye is true, but camera_model is OPENCV"),
        ({"is_fisheye": "yes"}, "is_fisheye is 'yes'"),
        ({"camera_model": "PINHOLE", "k1": 0.1}, "k1 cannot be of a lens of model PINHOLE"),
        ({"camera_model": "OPENCV", "k4": 0.1}, "k4 cannot be of a lens of model OPENCV"),
        ({"is_fisheye": True, "p1": 0.1}, "p1 cannot be of a lens"),
        ({"k4": 0.1}, "k4 is given without camera_model or is_fisheye"),
        ({"ftheta_p0": 1.0}, "ftheta_p0 is 1.0: this key is not known and could change the lens"),
        ({"latlong": True}, "latlong is True"),
        ({"distortion_params": [0.1, 0.0]}, "distortion_params"),
        ({"rolling_shutter": [0, 0, 0.01, 0]}, "rolling_shutter"),
        ({"lens_type": "ultrawide"}, "lens_type"),
        ({"b1": 0.5}, "b1 is 0.5"),
        ({"fx": 60.0}, "fx is 60.0"),
        ({"skew": 0.1}, "skew"),
        ({"w": 64, "h": 64}, "64x64, the image is 64x48: expected the same proportions"),
        ({"k1": "0.1"}, "k1 is 0.1, expected a number"),
        ({"K": [[60, 0, 32], [0, 60, 24], [0, 0, 1]]}, "K is "),
        ({"D": [0.1, 0.0]}, "D is "),
        ({"params": [60, 32, 24]}, "params is "),
        ({"pixel_aspect": 2.0}, "pixel_aspect is 2.0"),
        ({"camera_angle_x": 2.0}, "by fl_x 60.0 and camera_angle_x 20.5 px in an image 64 px long"),
    ],
)
def test_what_could_be_another_lens_is_refused_by_its_name(values: dict[str, Any], words: str) -> None:
    with pytest.raises(AceError, match=words):
        lens(**values)


def test_a_focal_length_may_be_an_angle() -> None:
    angle = 2 * math.atan(32 / 60)
    both = {"camera_angle_x": angle, "camera_angle_y": 2 * math.atan(24 / 61)}
    for values, fy in (({"camera_angle_x": angle}, 60), (both, 61), ({"x_fov": math.degrees(angle)}, 60)):
        matrix = nerf_camera(values, SIZE).matrix
        assert (float(matrix[0, 0]), float(matrix[1, 1])) == pytest.approx((60, fy))
    with pytest.raises(AceError, match="no fl_x and no camera_angle_x"):
        nerf_camera({}, SIZE)


def test_the_focal_length_of_a_frame_stands_over_that_of_the_file_in_any_unit() -> None:
    values = frame_values({**PLAIN, "k1": 0.1}, {"camera_angle_x": 2 * math.atan(32 / 50)})
    camera = nerf_camera(values, SIZE)
    assert camera.matrix.diagonal().tolist() == pytest.approx([50.0, 50.0, 1.0])
    assert camera.model == "plumb_bob"
    assert float(nerf_camera(frame_values(PLAIN, {"k1": 0.1}), SIZE).matrix[1, 1]) == 61.0
