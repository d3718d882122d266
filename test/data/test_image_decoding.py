# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array

import cv2
import numpy as np
import pytest

from ace_ros.data.image_decoding import ENCODINGS, decode_compressed, decode_image
from ace_ros.errors import CameraError

HEIGHT, WIDTH = 24, 36


@pytest.fixture(scope="module")
def bgr() -> np.ndarray:
    """Return a smooth colour image, so that demosaicing and chroma sharing keep it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([40 + 3 * x, 60 + 4 * y, 200 - 2 * x - 2 * y], -1).astype(np.uint8)


def mosaic(bgr: np.ndarray, pattern: str) -> np.ndarray:
    """Return the (H, W) image that a sensor with a Bayer pattern (ROS name) sees."""
    raw = np.zeros(bgr.shape[:2], np.uint8)
    for i, letter in enumerate(pattern):
        raw[i // 2 :: 2, i % 2 :: 2] = bgr[i // 2 :: 2, i % 2 :: 2, "bgr".index(letter)]
    return raw


def uyvy(bgr: np.ndarray) -> np.ndarray:
    """Return a 4:2:2 image (H, W, 2) with limited range (BT.601), chroma of the even pixels."""
    b, g, r = (bgr[..., i].astype(float) for i in range(3))
    luma = 16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256
    u = 128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256
    v = 128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256
    chroma = np.empty_like(luma)
    chroma[:, 0::2], chroma[:, 1::2] = u[:, 0::2], v[:, 0::2]
    return np.stack([chroma, luma], -1).round().astype(np.uint8)


def encode(bgr: np.ndarray, encoding: str) -> np.ndarray:
    """Return the pixels of an image in a ROS encoding, little endian."""
    grey = bgr[..., 1]
    alpha = np.full((HEIGHT, WIDTH, 1), 7, np.uint8)
    made = {
        "mono8": grey,
        "8UC1": grey,
        "bgr8": bgr,
        "8UC3": bgr,
        "rgb8": bgr[..., ::-1],
        "bgra8": np.concatenate([bgr, alpha], -1),
        "8UC4": np.concatenate([bgr, alpha], -1),
        "rgba8": np.concatenate([bgr[..., ::-1], alpha], -1),
        "yuv422": uyvy(bgr),
        "uyvy": uyvy(bgr),
        "yuv422_yuy2": uyvy(bgr)[..., ::-1],
        "yuyv": uyvy(bgr)[..., ::-1],
    }
    if encoding.startswith("bayer_"):
        made[encoding.replace("16", "8")] = mosaic(bgr, encoding[6:10])
    if "16" in encoding:
        base = {"16UC1": "mono8"}.get(encoding, encoding.replace("16", "8"))
        return made[base].astype("<u2") * 257
    return made[encoding]


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_the_original_pixels(bgr: np.ndarray, encoding: str, padding: int) -> None:
    raw = encode(bgr, encoding)
    rows = np.ascontiguousarray(raw).view(np.uint8).reshape(HEIGHT, -1)
    data = np.pad(rows, [(0, 0), (0, padding)], constant_values=255)
    image = decode_image(encoding, HEIGHT, WIDTH, data.shape[1], False, array.array("B", data.tobytes()))
    colour = ENCODINGS[encoding][1:] != (1, None)
    expected = bgr if colour else bgr[..., 1]
    assert image.dtype == np.uint8 and image.shape == expected.shape
    inside = (slice(2, -2), slice(2, -2))  # demosaicing has no neighbours at the border
    given, expected = image[inside].astype(float), expected[inside].astype(float)
    if "16" in encoding:  # stretched: brightness is kept up to a common factor and offset
        kept = (given > 0) & (given < 255)
        slope, offset = np.polyfit(expected[kept], given[kept], 1)
        assert slope > 1 and kept.mean() > 0.9
        given, expected = given[kept], slope * expected[kept] + offset
    blurred = encoding.startswith(("yu", "uyvy", "bayer"))
    assert np.abs(given - expected).max() <= (8 if blurred else 0.6)


def test_big_endian_pixels_are_swapped(bgr: np.ndarray) -> None:
    grey = encode(bgr, "mono16")
    little = decode_image("mono16", HEIGHT, WIDTH, 2 * WIDTH, False, grey.tobytes())
    big = decode_image("mono16", HEIGHT, WIDTH, 2 * WIDTH, True, grey.astype(">u2").tobytes())
    assert (little == big).all()


@pytest.mark.parametrize("low, high", [(0, 1023), (0, 4095), (7000, 8500), (0, 65535)])
def test_whatever_bits_are_used_the_image_is_not_black(low: int, high: int) -> None:
    grey = np.linspace(low, high, HEIGHT * WIDTH).astype("<u2").reshape(HEIGHT, WIDTH)
    image = decode_image("16UC1", HEIGHT, WIDTH, 2 * WIDTH, False, grey.tobytes())
    assert image.min() <= 5 and image.max() >= 250 and abs(image.mean() - 127) < 5


def test_a_dark_sixteen_bit_image_is_not_made_noise() -> None:
    dark = np.random.default_rng(1).integers(0, 4, (HEIGHT, WIDTH), np.uint16)
    assert decode_image("mono16", HEIGHT, WIDTH, 2 * WIDTH, False, dark.tobytes()).max() <= 4


def test_the_last_row_may_lack_its_padding(bgr: np.ndarray) -> None:
    grey = np.pad(bgr[..., 1], [(0, 0), (0, 4)])
    data = grey.tobytes()[:-4]
    assert (decode_image("mono8", HEIGHT, WIDTH, WIDTH + 4, False, data) == bgr[..., 1]).all()


@pytest.mark.parametrize(
    "encoding, height, width, step, size, words",
    [
        ("32FC1", 4, 4, 16, 64, ["32FC1", "mono8"]),
        ("", 4, 4, 16, 64, ["''"]),
        ("rgb8", 4, 4, 11, 64, ["rgb8", "step 11", "12"]),
        ("rgb8", 4, 4, 12, 47, ["47 bytes", "48"]),
        ("mono8", 0, 4, 4, 0, ["4x0"]),
        ("yuv422", 4, 3, 8, 64, ["odd width 3"]),
        ("mono8", 1 << 20, 1 << 20, 1 << 20, 0, ["no usable size"]),
    ],
)
def test_images_that_cannot_be_are_refused(
    encoding: str, height: int, width: int, step: int, size: int, words: list[str]
) -> None:
    with pytest.raises(CameraError) as caught:
        decode_image(encoding, height, width, step, False, bytes(size))
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("colour", [True, False])
def test_compressed_images_keep_colour_and_grey(bgr: np.ndarray, suffix: str, colour: bool) -> None:
    image = bgr if colour else bgr[..., 1]
    data = cv2.imencode(suffix, image)[1].tobytes()
    decoded = decode_compressed(array.array("B", data))
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).mean() < (0.5 if suffix == ".png" else 4)


def test_compressed_sixteen_bit_and_alpha_images_are_converted(bgr: np.ndarray) -> None:
    deep = bgr[..., 1].astype(np.uint16) * 257
    stretched = decode_image("mono16", HEIGHT, WIDTH, 2 * WIDTH, False, deep.tobytes())
    assert (decode_compressed(cv2.imencode(".png", deep)[1].tobytes()) == stretched).all()
    alpha = cv2.cvtColor(bgr, cv2.COLOR_BGR2BGRA)
    assert (decode_compressed(cv2.imencode(".png", alpha)[1].tobytes()) == bgr).all()


def test_the_format_tells_that_a_driver_wrote_rgb(bgr: np.ndarray) -> None:
    data = cv2.imencode(".png", bgr[..., ::-1])[1].tobytes()
    assert (decode_compressed(data, "rgb8; png compressed rgb8") == bgr).all()
    assert (decode_compressed(data, "rgb8; png compressed bgr8") == bgr[..., ::-1]).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_cut_off_compressed_images_are_refused(bgr: np.ndarray, suffix: str) -> None:
    data = cv2.imencode(suffix, bgr)[1].tobytes()
    with pytest.raises(CameraError, match="cut off"):
        decode_compressed(data[: len(data) * 3 // 4])


@pytest.mark.parametrize("data", [b"", b"\0" * 12 + b"\x89PNG\r\n\x1a\n", b"no image"])
def test_other_data_is_no_compressed_image(data: bytes) -> None:
    with pytest.raises(CameraError, match="compressed image"):
        decode_compressed(data)
