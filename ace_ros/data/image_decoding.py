# SPDX-License-Identifier: Apache-2.0
"""Pixels of ROS image messages as grey or BGR arrays, without any ROS import.

Encodings are those of sensor_msgs/image_encodings.h. `8UC3` and `8UC4` are taken for BGR(A).
Bags are imported with this where no ROS is; the nodes let cv_bridge convert the colours and share
the rest: what is accepted, what is refused, how 16 bits become 8. A test holds both equal.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ace_ros.data.image_file import MAX_IMAGE_BYTES, MAX_PIXELS, is_whole, parse_size
from ace_ros.errors import CameraError

# Encoding -> (bytes per channel, channels, OpenCV conversion to BGR or None). OpenCV names a
# Bayer pattern by its second row's second and third pixel, ROS by the first two of both rows.
ENCODINGS: dict[str, tuple[int, int, int | None]] = {
    "mono8": (1, 1, None),
    "8UC1": (1, 1, None),
    "mono16": (2, 1, None),
    "16UC1": (2, 1, None),
    "bgr8": (1, 3, None),
    "8UC3": (1, 3, None),
    "rgb8": (1, 3, cv2.COLOR_RGB2BGR),
    "bgra8": (1, 4, cv2.COLOR_BGRA2BGR),
    "8UC4": (1, 4, cv2.COLOR_BGRA2BGR),
    "rgba8": (1, 4, cv2.COLOR_RGBA2BGR),
    "bgr16": (2, 3, None),
    "rgb16": (2, 3, cv2.COLOR_RGB2BGR),
    "bgra16": (2, 4, cv2.COLOR_BGRA2BGR),
    "rgba16": (2, 4, cv2.COLOR_RGBA2BGR),
    "yuv422": (1, 2, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": (1, 2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (1, 2, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": (1, 2, cv2.COLOR_YUV2BGR_YUY2),
    "bayer_rggb8": (1, 1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": (1, 1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (1, 1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": (1, 1, cv2.COLOR_BayerGB2BGR),
    "bayer_rggb16": (2, 1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr16": (2, 1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg16": (2, 1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg16": (2, 1, cv2.COLOR_BayerGB2BGR),
}
PAIRED = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")


def decode_image(
    encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: Any
) -> np.ndarray:
    """Return the pixels of a sensor_msgs/Image: grey (H, W) or BGR (H, W, 3), uint8.

    `data` is bytes or any object with a byte buffer; the result may share its memory. 16-bit
    pixels are stretched to 8 bits. Raises CameraError.
    """
    depth, channels, conversion = layout(encoding)
    pixels = as_pixels(encoding, (height, width, channels), step, depth, data)
    if depth == 2:
        pixels = pixels.view(">u2" if is_bigendian else "<u2")
    image = pixels.reshape(height, width, channels) if channels > 1 else pixels
    if conversion is not None:
        image = cv2.cvtColor(image.astype(image.dtype.newbyteorder("="), copy=False), conversion)
    return stretch_to_8_bit(image)


def layout(encoding: str) -> tuple[int, int, int | None]:
    """Return bytes per channel, channels and OpenCV's conversion to BGR, None where there is none.

    Raises CameraError for an encoding that is not in ENCODINGS.
    """
    if encoding not in ENCODINGS:
        raise CameraError(f"image encoding {encoding!r} is not supported; known are {', '.join(ENCODINGS)}")
    return ENCODINGS[encoding]


def decode_compressed(data: Any, format: str = "") -> np.ndarray:
    """Return the pixels of a sensor_msgs/CompressedImage: grey (H, W) or BGR (H, W, 3), uint8.

    `format` is the message's. Raises CameraError when the data is not a whole image that OpenCV reads.
    """
    buffer = require_whole(data, format)
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise CameraError(f"compressed image cannot be decoded: {error.err}") from error
    return finish_compressed(image, data, format)


def require_whole(data: Any, format: str) -> np.ndarray:
    """Return the bytes of a compressed image, (N,) uint8.

    Raises CameraError where `format` says depth, and where the file is cut off or of no usable size.
    """
    if "compressedDepth" in format:
        raise CameraError(f"compressed image of format {format!r} is depth, expected JPEG or PNG")
    buffer = np.frombuffer(data, np.uint8)
    if not 0 < buffer.size <= MAX_IMAGE_BYTES:
        raise CameraError(f"compressed image has {buffer.size} bytes, which is no usable size")
    contents = buffer.tobytes()
    size = parse_size(contents)
    if size and not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise CameraError(f"compressed image of {size[0]}x{size[1]} pixels is no usable size")
    if size and not is_whole(contents):
        raise CameraError(f"compressed image is cut off after {buffer.size} bytes")
    return buffer


def finish_compressed(image: np.ndarray | None, data: Any, format: str) -> np.ndarray:
    """Return a decoded file as grey (H, W) or BGR (H, W, 3), uint8; `image` None is one that was not.

    `format` tells the few drivers apart that write RGB into the file. Raises CameraError.
    """
    if image is None:
        raise CameraError(
            f"compressed image of {len(data)} bytes cannot be decoded; it begins with {bytes(data[:8])!r}"
        )
    if image.ndim == 3 and image.shape[2] == 4:
        image = cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)
    # image_transport writes BGR and says "compressed bgr8", whatever the camera sent.
    if image.ndim == 3 and "compressed rgb" in format:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if image.dtype not in (np.uint8, np.uint16):
        raise CameraError(f"compressed image has pixels of type {image.dtype}, expected 8 or 16 bits")
    return stretch_to_8_bit(image)


def as_pixels(encoding: str, shape: tuple[int, int, int], step: int, depth: int, data: Any) -> np.ndarray:
    """Return the bytes of an image without the padding of its rows, (H, W * channels * depth)."""
    height, width, channels = shape
    row = width * channels * depth
    if not (height > 0 and width > 0 and height * width <= MAX_PIXELS):
        raise CameraError(f"image of {width}x{height} pixels is no usable size")
    if encoding in PAIRED and width % 2:
        raise CameraError(f"image of encoding {encoding} has the odd width {width}")
    if step < row:
        raise CameraError(
            f"image of {width}x{height} {encoding} has step {step}, expected at least {row} bytes"
        )
    buffer = np.frombuffer(data, np.uint8)
    needed = (height - 1) * step + row  # drivers may leave out the last row's padding
    if buffer.size < needed:
        raise CameraError(f"image of {width}x{height} {encoding} has {buffer.size} bytes, expected {needed}")
    rows = np.lib.stride_tricks.as_strided(buffer, (height, row), (step, 1))
    return np.ascontiguousarray(rows)


def stretch_to_8_bit(image: np.ndarray) -> np.ndarray:
    """Return 16-bit pixels as uint8, with the range that 98 % of them lie in spread over 0 to 255.

    Cameras put 10, 12, 14 or 16 bits into 16, thermal cameras a narrow band: a fixed shift would
    leave most of them black. Pixels that are uint8 are returned as they are.
    """
    if image.dtype == np.uint8:
        return image
    step = min(image.shape[:2]) // 120 | 1  # odd, to meet all colours of a Bayer pattern
    low, high = np.percentile(image[::step, ::step], (1.0, 99.0))
    scale = 255.0 / max(high - low, 255.0)  # a range of 8 bits or less is not stretched further
    stretched = (image.astype(np.float32) - low) * scale + 0.5
    return np.asarray(stretched.clip(0, 255), np.uint8)
