# SPDX-License-Identifier: Apache-2.0
"""Calibration files of several tools: one camera, whoever wrote it down."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ace_ros.data.camera_file import read_camera
from ace_ros.errors import CameraError

K = "[500.2, 0., 425.5, 0., 501.2, 239.5, 0., 0., 1.]"
D = [-0.1, 0.05, 0.001, 0.0025]
SIZE = (854, 480)
DIALECTS = {
    "ros.yaml": f"image_width: 854\nimage_height: 480\ncamera_matrix: {{rows: 3, cols: 3, data: {K}}}\n"
    f"distortion_model: plumb_bob\ndistortion_coefficients: {{rows: 1, cols: 4, data: {D}}}\n",
    "ROS.YML": f"image_width: 854\nimage_height: 480\ncamera_matrix: {K}\ndistortion_model: plumb_bob\n"
    f"distortion_coefficients: {D}\n",
    "rows.yaml": "image_width: 854\nimage_height: 480\ncamera_matrix: [[500.2, 0, 425.5], [0, 501.2, 239.5], "
    f"[0, 0, 1]]\ndistortion_coefficients: {D}\n",
    "opencv.yaml": "%YAML:1.0\n---\nimage_width: 854\nimage_height: 480\ncamera_matrix: !!opencv-matrix\n"
    f"   rows: 3\n   cols: 3\n   dt: d\n   data: {K}\n"
    "distortion_coefficients: !!opencv-matrix\n   rows: 1\n   cols: 5\n"
    "   dt: d\n   data: [ -1.0e-01, 5e-02, 1e-3, 2.5e-03, 0. ]\n",
    "kalibr.yaml": f"cam0:\n  camera_model: pinhole\n  distortion_coeffs: {D}\n  distortion_model: radtan\n"
    "  intrinsics: [500.2, 501.2, 425.5, 239.5]\n  resolution: [854, 480]\n  rostopic: /cam0/image_raw\n",
    "sensor.yaml": f"sensor_type: camera\nresolution: [854, 480]\ncamera_model: pinhole\n"
    f"intrinsics: [500.2, 501.2, 425.5, 239.5]\ndistortion_model: radial-tangential\n"
    f"distortion_coefficients: {D}\n",
    "echo": f"header:\n  stamp: {{sec: 1, nanosec: 2}}\n  frame_id: camera\nheight: 480\nwidth: 854\n"
    f"distortion_model: plumb_bob\nd: {D}\nk: {K}\nbinning_x: 0\nroi: {{width: 0, height: 0}}\n---\n",
    "echo1.txt": f"height: 480\nwidth: 854\ndistortion_model: plumb_bob\nD: {D}\nK: {K}\n---\nheight: 480\n"
    f"width: 854\ndistortion_model: plumb_bob\nD: {D}\nK: {K}\n---\n",
}


def read(folder: Path, name: str, text: str, size: tuple[int, int] = SIZE):
    (folder / name).write_text(text)
    return read_camera(folder / name, size)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_gives_the_same_camera(tmp_path: Path, name: str) -> None:
    camera = read(tmp_path, name, DIALECTS[name])
    assert camera.model == "plumb_bob" and camera.size == SIZE
    expected = torch.tensor([[500.2, 0, 425.5], [0, 501.2, 239.5], [0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(camera.matrix, expected)
    assert camera.distortion is not None
    torch.testing.assert_close(camera.distortion[:4], torch.tensor(D, dtype=torch.float64))
    half = read(tmp_path, name, DIALECTS[name], (427, 240))
    torch.testing.assert_close(half.matrix, camera.resize(427, 240).matrix)


def test_the_solver_of_opencv_names_no_model(tmp_path: Path) -> None:
    rational = DIALECTS["rows.yaml"].replace(str(D), str([*D, 0.0, 0.1, 0.02, 0.01, 0, 0, 0, 0, 0, 0]))
    assert read(tmp_path, "a.yaml", rational).model == "rational_polynomial"
    assert read(tmp_path, "a.yaml", DIALECTS["rows.yaml"] + "fisheye_model: 1\n").model == "equidistant"


def test_an_ideal_fisheye_of_kalibr_is_one(tmp_path: Path) -> None:
    text = DIALECTS["kalibr.yaml"].replace(str(D), "[0, 0, 0, 0]").replace("radtan", "equidistant")
    assert read(tmp_path, "a.yaml", text).model == "equidistant"
    text = DIALECTS["kalibr.yaml"].replace(str(D), "[]").replace("radtan", "none")
    assert read(tmp_path, "a.yaml", text).model == "pinhole"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (DIALECTS["ros.yaml"].split("distortion_model")[0], "has no distortion_coefficients; expected"),
        (DIALECTS["kalibr.yaml"].replace("pinhole", "omni"), "model 'omni' with 'radtan'"),
        (DIALECTS["kalibr.yaml"].replace("radtan", "fov"), "with 'fov', expected 'pinhole' with one of"),
        (DIALECTS["kalibr.yaml"] + DIALECTS["kalibr.yaml"].replace("cam0", "cam1"), "cameras cam0, cam1"),
        (DIALECTS["rows.yaml"] + "xi: 1.2\n", "xi is 1.2: an omnidirectional lens"),
        (DIALECTS["echo1.txt"].replace("-0.1", "-0.2", 1), "2 cameras that differ"),
        (DIALECTS["echo"].replace("k:", "kk:"), "has no image_width"),
        ("~\n", "expected the file of ROS's camera calibrator"),
        ("focal 500", "expected the file of ROS's camera calibrator"),
        ("[image]\nwidth\n854\n", "not valid YAML"),
        ("500 500 425 239", "holds 4 numbers"),
        ("4.5", r"focal length \(4.5, 4.5\) does not fit a 854x480 image; expected pixels"),
        ("1000 0 853 0 1000 479 0 0 1", "corner of its 854x480 image"),
        (DIALECTS["ros.yaml"].replace("854", "640"), "for images of 640x480, this one is 854x480"),
        (DIALECTS["ros.yaml"].replace("-0.1", "'x'"), "distortion_coefficients is .* expected numbers"),
    ],
)
def test_what_is_missing_or_no_lens_of_ours_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CameraError, match=rf"camera\.yaml: not a usable calibration: .*{words}"):
        read(tmp_path, "camera.yaml", text)


def test_a_matrix_may_have_commas(tmp_path: Path) -> None:
    assert read(tmp_path, "a.txt", "500,0,425\n0,500,239\n0,0,1\n").matrix[0].tolist() == [500, 0, 425]
