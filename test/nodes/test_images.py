# SPDX-License-Identifier: Apache-2.0
"""Image messages to arrays and back, and that images of bags become the same."""

from __future__ import annotations

import array
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("cv_bridge")

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ace_ros.data.image_decoding import ENCODINGS, decode_compressed, decode_image
from ace_ros.data.yuv_planes import PLANAR
from ace_ros.errors import CameraError
from ace_ros.network.input import to_grey
from ace_ros.nodes.images import compressed_message, image_array, image_message, to_bgr


def picture(height: int = 24, width: int = 32) -> np.ndarray:
    """Return a smooth BGR image: chroma subsampling and Bayer patterns change it little."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 6 + 20, y * 8 + 30, 200 - x * 3], -1).astype(np.uint8)


def raw(encoding: str, pixels: np.ndarray, padding: int = 0, big: bool = False) -> Image:
    rows = np.ascontiguousarray(pixels).reshape(pixels.shape[0], -1)
    if rows.dtype == np.uint16:
        rows = rows.astype(">u2" if big else "<u2")
    rows = rows.view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return Image(
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
    message: Image, expected: np.ndarray, tolerance: int
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
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(CameraError, match=sentence):
        image_array(message)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_compressed_image_is_decoded(suffix: str) -> None:
    data = array.array("B", cv2.imencode(suffix, BGR)[1].tobytes())
    found = image_array(CompressedImage(format="bgr8; compressed bgr8", data=data))
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
        image_array(CompressedImage(format=format, data=array.array("B", data)))


@pytest.mark.parametrize("pixels", [GREY, BGR], ids=["grey", "bgr"])
def test_an_image_survives_the_way_through_a_message(pixels: np.ndarray) -> None:
    header = Header(frame_id="camera")
    for message in (image_message(pixels, header), compressed_message(pixels, header)):
        assert message.header.frame_id == "camera"
        assert np.array_equal(image_array(message), pixels)
    assert image_message(pixels).encoding == ("mono8" if pixels.ndim == 2 else "bgr8")


def noise(encoding: str, bits: int) -> np.ndarray:
    """Return pixels (24, 32, ...) of an encoding, of any value up to so many bits."""
    depth, channels, _ = ENCODINGS[encoding]
    numbers = np.random.default_rng(5).integers(0, 1 << min(bits, 8 * depth), (24, 32, channels))
    return numbers.astype(np.uint8 if depth == 1 else np.uint16)


def as_of_a_bag(message: Any) -> np.ndarray:
    return decode_image(
        message.encoding,
        message.height,
        message.width,
        message.step,
        bool(message.is_bigendian),
        message.data,
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("padding", [0, 1, 10])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("bits", [16, 10])
def test_images_of_bags_become_the_same(encoding: str, padding: int, big: bool, bits: int) -> None:
    message = raw(encoding, noise(encoding, bits), padding, big)
    found = image_array(message)
    assert found.dtype == np.uint8 and found.std() > 20
    np.testing.assert_array_equal(found, as_of_a_bag(message))
    del message.data[len(message.data) - padding :]  # some drivers leave out the last row's padding
    np.testing.assert_array_equal(found, image_array(message))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize(
    "format",
    ["", "jpeg", "bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed rgb8", "mono8; png compressed"],
)
def test_compressed_images_of_bags_become_the_same(suffix: str, format: str) -> None:
    data = array.array("B", cv2.imencode(suffix, BGR)[1].tobytes())
    found = image_array(CompressedImage(format=format, data=data))
    np.testing.assert_array_equal(found, decode_compressed(data, format))
    order = -1 if "compressed rgb" in format else 1
    assert np.abs(found[..., ::order].astype(int) - BGR.astype(int)).max() <= 12


def test_a_compressed_image_of_16_bits_or_with_alpha_becomes_the_same() -> None:
    for pixels in (GREY.astype(np.uint16) << 4, np.dstack([BGR, GREY])):
        data = array.array("B", cv2.imencode(".png", pixels)[1].tobytes())
        found = image_array(CompressedImage(format="png", data=data))
        np.testing.assert_array_equal(found, decode_compressed(data, "png"))


def test_grey_and_bgr_are_made_of_either() -> None:
    assert np.array_equal(to_grey(BGR), GREY) and to_grey(GREY) is GREY
    assert to_bgr(GREY).shape == BGR.shape and to_bgr(BGR) is not BGR


@pytest.mark.parametrize("encoding", PLANAR)
def test_images_in_planes_of_bags_become_the_same(encoding: str) -> None:
    data = np.random.default_rng(3).integers(0, 256, 3 * 24 * 32, np.uint8)
    message = Image(encoding=encoding, height=24, width=32, step=32, data=array.array("B", data.tobytes()))
    found = image_array(message)
    assert found.shape == (24, 32, 3) and found.std() > 20
    np.testing.assert_array_equal(found, as_of_a_bag(message))


def test_an_image_that_claims_to_be_huge_is_refused_before_it_is_decoded() -> None:
    data = bytearray(cv2.imencode(".png", BGR)[1].tobytes())
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    message = CompressedImage(format="png", data=array.array("B", bytes(data)))
    with pytest.raises(CameraError, match="20000x20000 pixels, which is no usable size"):
        image_array(message)
