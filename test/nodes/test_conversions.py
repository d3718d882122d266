# SPDX-License-Identifier: Apache-2.0
"""Messages to arrays and matrices and back; messages are stand-ins with the same attributes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ace_ros.data.camera_info import camera_of_info
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import from_rotation_translation, inverse, so3_exp
from ace_ros.nodes.camera_source import CameraSource, check_size
from ace_ros.nodes.conversions import (
    covariance_of_base,
    fill_camera_info,
    fill_pose,
    fill_stamp,
    fill_transform,
    matrix_of_pose,
    matrix_of_transform,
    stamp_ns,
)


def vector() -> SimpleNamespace:
    return SimpleNamespace(x=0.0, y=0.0, z=0.0, w=0.0)


def some_transform() -> torch.Tensor:
    R = so3_exp(torch.tensor([0.3, -0.8, 1.9], dtype=torch.float64))
    return from_rotation_translation(R, torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))


def test_transforms_and_poses_survive_the_way_through_a_message() -> None:
    T = some_transform()
    transform = SimpleNamespace(translation=vector(), rotation=vector())
    torch.testing.assert_close(matrix_of_transform(fill_transform(transform, T)), T)
    pose = SimpleNamespace(position=vector(), orientation=vector())
    torch.testing.assert_close(matrix_of_pose(fill_pose(pose, T)), T)


def test_a_quaternion_without_length_is_no_pose() -> None:
    assert matrix_of_pose(SimpleNamespace(position=vector(), orientation=vector())).isnan().any()


def test_stamps_survive_the_way_through_a_message() -> None:
    assert stamp_ns(fill_stamp(SimpleNamespace(), 1_700_000_000_123_456_789)) == 1_700_000_000_123_456_789


def test_the_covariance_of_the_base_is_that_of_moved_samples() -> None:
    generator = torch.Generator().manual_seed(3)
    A = torch.randn(6, 6, generator=generator, dtype=torch.float64) * 1e-3
    covariance = A @ A.T
    T_map_camera, T_camera_base = some_transform(), inverse(some_transform())
    noise = torch.randn(40_000, 6, generator=generator, dtype=torch.float64) @ A.T
    moved = from_rotation_translation(
        so3_exp(noise[:, 3:]) @ T_map_camera[:3, :3], T_map_camera[:3, 3] + noise[:, :3]
    )
    base = moved @ T_camera_base
    true = T_map_camera @ T_camera_base
    turned = base[:, :3, :3] @ true[:3, :3].T
    rotation = torch.stack(
        [
            turned[:, 2, 1] - turned[:, 1, 2],
            turned[:, 0, 2] - turned[:, 2, 0],
            turned[:, 1, 0] - turned[:, 0, 1],
        ],
        -1,
    )
    samples = torch.cat([base[:, :3, 3] - true[:3, 3], rotation / 2], -1)
    found = covariance_of_base(covariance, T_map_camera, T_camera_base)
    torch.testing.assert_close(found, torch.cov(samples.T), rtol=0.05, atol=0.02 * float(found.max()))


def header_at(seconds: float) -> SimpleNamespace:
    return SimpleNamespace(stamp=fill_stamp(SimpleNamespace(), int(1e9 * seconds)))


def camera_info(**changes: object) -> SimpleNamespace:
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    values = {
        "width": 640, "height": 480, "k": [500.0, 0, 320, 0, 510, 240, 0, 0, 1], "d": [],
        "distortion_model": "plumb_bob", "p": [400.0, 0, 310, 0, 0, 400, 230, 0, 0, 0, 1, 0],
        "binning_x": 0, "binning_y": 0, "roi": roi, "header": header_at(0.0),
    }  # fmt: skip
    return SimpleNamespace(**{**values, **changes})


def test_a_camera_survives_the_way_through_a_message() -> None:
    K = torch.tensor([[500.0, 0, 321], [0, 510, 239], [0, 0, 1]], dtype=torch.float64)
    for model, d in (
        ("pinhole", None),
        ("plumb_bob", [0.1, -0.05, 0.001, 0.002, 0.01]),
        ("rational_polynomial", [0.1, 0.2, 0.001, 0.0, 0.01, 0.02, 0.1, 0.03]),
        ("equidistant", [0.01, 0.02, -0.01, 0.003]),
    ):
        camera = Camera(K, (640, 480), model, None if d is None else torch.tensor(d, dtype=torch.float64))
        found = camera_of_info(fill_camera_info(camera_info(), camera))
        assert found.model == model and found.size == camera.size
        torch.testing.assert_close(found.matrix, K)
        if d is not None:
            torch.testing.assert_close(found.distortion, camera.distortion)


def test_no_camera_info_and_an_all_zero_one_are_refused_with_the_reason() -> None:
    source = CameraSource("/ace/camera_info", rectified=False)
    with pytest.raises(CameraError, match="no camera_info has arrived on /ace/camera_info"):
        source.camera()
    source.take(camera_info(k=[0.0] * 9))
    with pytest.raises(CameraError, match="all-zero K"):
        source.camera()
    source.take(camera_info())
    assert source.camera().size == (640, 480)
    with pytest.raises(CameraError, match="320x240, its camera_info says 640x480"):
        check_size((240, 320, 3), source.camera())


def test_rectified_images_have_the_camera_of_the_projection_matrix() -> None:
    source = CameraSource("camera_info", rectified=True)
    source.take(camera_info(d=[0.1, 0.2, 0.0, 0.0, 0.0]))
    camera = source.camera()
    assert camera.distortion is None and float(camera.matrix[0, 0]) == 400.0


def test_an_image_has_the_camera_info_of_its_stamp_else_the_newest() -> None:
    source = CameraSource("camera_info", rectified=False)
    for second in (1.0, 2.0, 3.0):
        source.take(camera_info(k=[500.0 + second, 0, 320, 0, 510, 240, 0, 0, 1], header=header_at(second)))
    assert [float(source.camera(int(s * 1e9)).matrix[0, 0]) for s in (1.0, 2.0, 9.0)] == [501.0, 502.0, 503.0]


@pytest.mark.parametrize(
    "changes",
    [
        {"distortion_model": "equidistant", "d": [0.01] * 4},
        {"k": [700.0, 0, 320, 0, 714, 240, 0, 0, 1]},
        {"d": [0.4, 0.0, 0.0, 0.0, 0.0]},
    ],
)
def test_a_camera_info_that_changes_the_lens_gives_no_camera(changes: dict[str, object]) -> None:
    source = CameraSource("camera_info", rectified=False)
    source.take(camera_info())
    assert source.camera().size == (640, 480)
    for number in range(3):  # two nodes that take turns
        source.take(camera_info(**(changes if number % 2 == 0 else {})))
        with pytest.raises(CameraError, match="camera_info on camera_info has changed from .* do two nodes"):
            source.camera()


def test_names_of_one_lens_and_changes_of_the_size_are_no_change() -> None:
    source = CameraSource("camera_info", rectified=False)
    source.take(camera_info())
    source.take(camera_info(d=[0.0] * 8, distortion_model="rational_polynomial"))
    source.take(camera_info(k=[510.0, 0, 321, 0, 515, 241, 0, 0, 1]))
    source.take(camera_info(k=[250.0, 0, 160, 0, 255, 120, 0, 0, 1], width=320, height=240))
    assert source.camera().size == (320, 240)
