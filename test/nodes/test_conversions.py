# SPDX-License-Identifier: Apache-2.0
"""Messages to arrays and matrices and back; messages are stand-ins with the same attributes."""

from __future__ import annotations

import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from ace_ros.data.camera_info import camera_of_info
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import from_rotation_translation, inverse, so3_exp
from ace_ros.network.input import to_grey
from ace_ros.nodes.camera_source import CameraSource, check_size
from ace_ros.nodes.conversions import (
    covariance_of_base,
    fill_camera_info,
    fill_cloud,
    fill_pose,
    fill_stamp,
    fill_transform,
    matrix_of_pose,
    matrix_of_transform,
    stamp_ns,
)
from ace_ros.nodes.images import fill_compressed, fill_image, image_array, to_bgr


def vector() -> SimpleNamespace:
    return SimpleNamespace(x=0.0, y=0.0, z=0.0, w=0.0)


def picture(height: int = 24, width: int = 32) -> np.ndarray:
    """Return a smooth BGR image: chroma subsampling and Bayer patterns change it little."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 6 + 20, y * 8 + 30, 200 - x * 3], -1).astype(np.uint8)


def raw(encoding: str, pixels: np.ndarray, padding: int = 0, big: bool = False) -> SimpleNamespace:
    rows = np.ascontiguousarray(pixels).reshape(pixels.shape[0], -1)
    if rows.dtype == np.uint16:
        rows = rows.astype(">u2" if big else "<u2")
    rows = rows.view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(
        encoding=encoding, height=pixels.shape[0], width=pixels.shape[1], step=padded.shape[1],
        is_bigendian=int(big), data=array.array("B", padded.tobytes()),
    )  # fmt: skip


def uyvy(bgr: np.ndarray) -> np.ndarray:
    luma, red, blue = np.moveaxis(cv2.cvtColor(bgr, cv2.COLOR_BGR2YCrCb).astype(float), -1, 0)
    result = np.empty((*bgr.shape[:2], 2), np.uint8)
    result[..., 1] = 16 + luma * (219 / 255)  # video range
    result[:, 0::2, 0] = 128 + (blue[:, 0::2] - 128) * (224 / 255)
    result[:, 1::2, 0] = 128 + (red[:, 0::2] - 128) * (224 / 255)
    return result


BGR = picture()
GREY = cv2.cvtColor(BGR, cv2.COLOR_BGR2GRAY)


@pytest.mark.parametrize(
    ("message", "expected", "tolerance"),
    [
        (raw("mono8", GREY, padding=5), GREY, 0),
        (raw("8UC1", GREY), GREY, 0),
        (raw("bgr8", BGR, padding=3), BGR, 0),
        (raw("8UC3", BGR), BGR, 0),
        (raw("rgb8", BGR[..., ::-1]), BGR, 0),
        (raw("bgra8", np.dstack([BGR, GREY])), BGR, 0),
        (raw("rgba8", np.dstack([BGR[..., ::-1], GREY])), BGR, 0),
        (raw("uyvy", uyvy(BGR)), BGR, 24),
        (raw("yuv422", uyvy(BGR), padding=4), BGR, 24),
        (raw("yuyv", uyvy(BGR)[..., ::-1]), BGR, 24),
        (raw("yuv422_yuy2", uyvy(BGR)[..., ::-1]), BGR, 24),
    ],
    ids=lambda value: getattr(value, "encoding", ""),
)
def test_every_encoding_becomes_the_same_picture(
    message: SimpleNamespace, expected: np.ndarray, tolerance: int
) -> None:
    found = image_array(message)
    assert found.dtype == np.uint8 and found.shape == expected.shape
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= tolerance


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("big", [False, True])
def test_sixteen_bits_become_eight_that_use_the_range(bits: int, big: bool) -> None:
    found = image_array(raw("mono16", GREY.astype(np.uint16) << (bits - 8), padding=2, big=big))
    assert found.dtype == np.uint8 and found.max() - found.min() > 80
    assert np.corrcoef(found.ravel(), GREY.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"encoding": "bayer_gbrg42"}, "bayer_gbrg42"),
        ({"step": 10}, "step 10"),
        ({"height": 100}, "bytes"),
        ({"width": 0}, "0x24"),
        ({"height": 1 << 30, "width": 1 << 30}, "size"),
    ],
)
def test_a_damaged_image_is_refused_with_a_sentence(change: dict[str, object], sentence: str) -> None:
    message = raw("mono8", GREY)
    vars(message).update(change)
    with pytest.raises(CameraError, match=sentence):
        image_array(message)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_compressed_image_is_decoded(suffix: str) -> None:
    data = array.array("B", cv2.imencode(suffix, BGR)[1].tobytes())
    found = image_array(SimpleNamespace(format="bgr8; compressed bgr8", data=data))
    assert np.abs(found.astype(int) - BGR.astype(int)).max() <= 12


@pytest.mark.parametrize(
    ("format", "data", "sentence"),
    [
        ("jpeg", b"", "0 bytes"),
        ("jpeg", b"\xff\xd8\xff not a picture", "compressed image"),
        ("png", cv2.imencode(".png", BGR)[1].tobytes()[:60], "cut off"),
        ("16UC1; compressedDepth png", cv2.imencode(".png", GREY)[1].tobytes(), "depth"),
    ],
)
def test_damaged_compressed_data_is_refused(format: str, data: bytes, sentence: str) -> None:
    with pytest.raises(CameraError, match=sentence):
        image_array(SimpleNamespace(format=format, data=array.array("B", data)))


@pytest.mark.parametrize("pixels", [GREY, BGR], ids=["grey", "bgr"])
def test_an_image_survives_the_way_through_a_message(pixels: np.ndarray) -> None:
    assert np.array_equal(image_array(fill_image(SimpleNamespace(), pixels)), pixels)
    assert np.array_equal(image_array(fill_compressed(SimpleNamespace(), pixels)), pixels)


def test_grey_and_bgr_are_made_of_either() -> None:
    assert np.array_equal(to_grey(BGR), GREY) and to_grey(GREY) is GREY
    assert to_bgr(GREY).shape == BGR.shape and to_bgr(BGR) is not BGR


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


def camera_info(**changes: object) -> SimpleNamespace:
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    values = {
        "width": 640, "height": 480, "k": [500.0, 0, 320, 0, 510, 240, 0, 0, 1], "d": [],
        "distortion_model": "plumb_bob", "p": [400.0, 0, 310, 0, 0, 400, 230, 0, 0, 0, 1, 0],
        "binning_x": 0, "binning_y": 0, "roi": roi,
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


class Field(SimpleNamespace):
    FLOAT32 = 7


def test_the_cloud_holds_points_and_brightness() -> None:
    points = np.array([[1.0, 2.0, 3.0], [-4.0, 5.5, 0.25]])
    cloud = fill_cloud(SimpleNamespace(), Field, points, np.array([10, 200], np.uint8))
    assert [field.name for field in cloud.fields] == ["x", "y", "z", "rgb"]
    assert (cloud.width, cloud.height, len(cloud.data)) == (2, 1, cloud.row_step)
    rows = np.frombuffer(cloud.data, np.float32).reshape(2, 4)
    np.testing.assert_array_equal(rows[:, :3], points.astype(np.float32))
    assert np.frombuffer(cloud.data, np.uint8).reshape(2, 16)[:, 12:15].tolist() == [[10] * 3, [200] * 3]
