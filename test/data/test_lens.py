# SPDX-License-Identifier: Apache-2.0
"""Lenses by name and coefficients: the same rules for camera_info and for calibration files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ace_ros.data.camera_file import read_camera
from ace_ros.data.camera_info import camera_of_info
from ace_ros.data.lens import read_lens
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera

K = [500.0, 0.0, 319.5, 0.0, 500.0, 239.5, 0.0, 0.0, 1.0]
WHOLE = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
FOUR = [0.1, -0.05, 0.01, 0.002]


def from_info(model: str, d: list[float]) -> Camera:
    return camera_of_info(
        SimpleNamespace(
            k=K, d=d, distortion_model=model, width=640, height=480, roi=WHOLE, binning_x=0, binning_y=0
        )
    )


def from_file(folder: Path, model: str, d: list[float]) -> Camera:
    path = folder / "camera.yaml"
    path.write_text(
        f"image_width: 640\nimage_height: 480\ncamera_matrix: {{rows: 3, cols: 3, data: {K}}}\n"
        f"distortion_model: {model}\ndistortion_coefficients: {{rows: 1, cols: {len(d)}, data: {d}}}\n"
    )
    return read_camera(path, (640, 480))


@pytest.mark.parametrize(
    ("name", "given", "model", "kept"),
    [
        ("plumb_bob", FOUR, "plumb_bob", FOUR),
        ("plumb_bob", [*FOUR, 0.3, 0.0, 0.0, 0.0], "plumb_bob", [*FOUR, 0.3]),
        ("equidistant", [*FOUR, 0.0], "equidistant", FOUR),
        ("fisheye", FOUR, "equidistant", FOUR),
        ("rational_polynomial", [*FOUR, *FOUR, *[0.0] * 6], "rational_polynomial", [*FOUR, *FOUR]),
        ("rational_polynomial", [*FOUR, 0.2], "rational_polynomial", [*FOUR, 0.2, 0.0, 0.0, 0.0]),
        ("plumb_bob", [0.1], "plumb_bob", [0.1, 0.0, 0.0, 0.0]),
        ("equidistant", FOUR[:2], "equidistant", [*FOUR[:2], 0.0, 0.0]),
        ("radtan", FOUR, "plumb_bob", FOUR),
    ],
)
def test_zeros_at_the_end_may_be_there_or_not(
    name: str, given: list[float], model: str, kept: list[float], tmp_path: Path
) -> None:
    for camera in (from_info(name, given), from_file(tmp_path, name, given)):
        assert camera.model == model and camera.distortion is not None
        torch.testing.assert_close(camera.distortion, torch.tensor(kept, dtype=torch.float64))


@pytest.mark.parametrize("name", ["", "plumb_bob", "of_a_rectified_image"])
def test_no_coefficients_or_zeros_are_no_distortion(name: str) -> None:
    assert read_lens(name, [], "it") == read_lens(name, [0.0] * 5, "it") == ("pinhole", None)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("kannala", FOUR, "distortion model 'kannala', expected one of plumb_bob"),
        ("equidistant", [*FOUR, 0.1], "5 coefficients of equidistant, expected the first 4 alone"),
        ("rational_polynomial", [*FOUR, *FOUR, 0.1], "9 coefficients of rational_polynomial"),
        ("plumb_bob", [float("nan"), 0.0, 0.0, 0.0], "not finite"),
    ],
)
def test_what_would_change_the_lens_is_refused(
    name: str, given: list[float], words: str, tmp_path: Path
) -> None:
    with pytest.raises(CameraError, match=words):
        from_info(name, given)
    given = [-1.0 if value != value else value for value in given]
    if "finite" not in words:
        with pytest.raises(CameraError, match=words):
            from_file(tmp_path, name, given)


def test_a_calibration_file_names_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text("camera_matrix: {data: [1, 2]}\nimage_width: 640\n")
    with pytest.raises(CameraError, match="camera.yaml.*has no image_height, distortion_coefficients"):
        read_camera(path, (640, 480))


def test_a_fisheye_lens_whose_coefficients_are_all_zero_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("equidistant", "plumb_bob", "", "a_lens_of_zeros"):
        assert read_lens(name, [0.0] * 4, "it") == ("pinhole", None)
    assert "'a_lens_of_zeros' are all zero: it is taken for one without distortion" in caplog.text
    assert "'plumb_bob'" not in caplog.text and "''" not in caplog.text


def test_intrinsics_that_cannot_be_those_of_the_images_are_refused_in_camera_info_too() -> None:
    info = SimpleNamespace(
        k=[0.004, 0.0, 319.5, 0.0, 0.004, 239.5, 0.0, 0.0, 1.0], d=[], distortion_model="plumb_bob",
        width=640, height=480, roi=WHOLE, binning_x=0, binning_y=0,
    )  # fmt: skip
    with pytest.raises(CameraError, match=r"camera_info: focal length \(0.004, 0.004\) does not fit"):
        camera_of_info(info)
    info.k = [1000.0, 0.0, 639.5, 0.0, 1000.0, 479.5, 0.0, 0.0, 1.0]
    with pytest.raises(CameraError, match="camera_info: principal point"):
        camera_of_info(info)
    info.k, info.roi = K, SimpleNamespace(x_offset=400, y_offset=0, width=200, height=200)
    assert camera_of_info(info).matrix[0, 2] < 0
