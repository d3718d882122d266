# SPDX-License-Identifier: Apache-2.0
"""Pixels of ROS image messages as grey or BGR arrays, without any ROS import.

Encodings are those of sensor_msgs/image_encodings.h. `8UC3` and `8UC4` are taken for BGR(A).
Bags are imported with this where no ROS is; the nodes let cv_bridge convert the colours that it knows
and share the rest: files, planes, what is accepted, what is refused. A test holds both equal.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ace_ros.data.image_file import without_alpha
from ace_ros.data.image_header import check_memory, check_pixels, read_header, require_whole
from ace_ros.data.sixteen_bits import Stretch, to_8_bit
from ace_ros.data.yuv_planes import PLANAR, decode_planes
from ace_ros.errors import CameraError
from ace_ros.files.limits import MAX_IMAGE_BYTES

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


def decode_message(message: Any, stretch: Stretch = to_8_bit) -> np.ndarray:
    """Return the pixels of a sensor_msgs Image or CompressedImage: grey (H, W) or BGR (H, W, 3), uint8.

    `stretch` makes 8 bits of 16; without it, each image uses its own range. Raises CameraError.
    """
    if hasattr(message, "format"):
        return decode_compressed(message.data, message.format, stretch)
    big = bool(message.is_bigendian)
    shape = int(message.height), int(message.width), int(message.step)
    return decode_image(message.encoding, *shape, big, message.data, stretch)


def decode_image(
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool,
    data: Any,
    stretch: Stretch = to_8_bit,
) -> np.ndarray:
    """Return the pixels of a sensor_msgs/Image: grey (H, W) or BGR (H, W, 3), uint8.

    `data` is bytes or any object with a byte buffer; the result may share its memory. `stretch` makes 8
    bits of 16. Raises CameraError.
    """
    if encoding in PLANAR:
        return decode_planes(encoding, height, width, step, data)
    depth, channels, conversion = layout(encoding)
    pixels = as_pixels(encoding, (height, width, channels), step, depth, data)
    if depth == 2:
        pixels = pixels.view(">u2" if is_bigendian else "<u2")
    image = pixels.reshape(height, width, channels) if channels > 1 else pixels
    if conversion is not None:
        image = cv2.cvtColor(image.astype(image.dtype.newbyteorder("="), copy=False), conversion)
    return stretch(image)


def layout(encoding: str) -> tuple[int, int, int | None]:
    """Return bytes per channel, channels and OpenCV's conversion to BGR, None where there is none.

    Raises CameraError for an encoding that is not in ENCODINGS.
    """
    if encoding not in ENCODINGS:
        known = ", ".join([*ENCODINGS, *PLANAR])
        raise CameraError(f"image encoding {encoding[:80]!r} is not supported; known are {known}")
    return ENCODINGS[encoding]


def decode_compressed(data: Any, format: str = "", stretch: Stretch = to_8_bit) -> np.ndarray:
    """Return the pixels of a sensor_msgs/CompressedImage: grey (H, W) or BGR (H, W, 3), uint8.

    `format` is the message's; it tells the few drivers apart that write RGB into the file. `stretch` makes
    8 bits of 16. Raises CameraError when the data is not a whole PNG or JPEG.
    """
    if "compressedDepth" in format:
        raise CameraError(f"compressed image of format {format[:80]!r} is depth, expected JPEG or PNG")
    buffer = np.frombuffer(data, np.uint8)
    if not 0 < buffer.size <= MAX_IMAGE_BYTES:
        raise CameraError(f"compressed image has {buffer.size} bytes, which is no usable size")
    contents = buffer.tobytes()
    try:
        check_memory(read_header(contents), len(contents))
        require_whole(contents)
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    except CameraError as error:
        raise CameraError(f"compressed image: {error}") from error
    except cv2.error as error:
        raise CameraError(f"compressed image cannot be decoded: {error.err}") from error
    if image is None:
        raise CameraError(f"compressed image of {buffer.size} bytes cannot be decoded: it is damaged")
    image = without_alpha(image)
    # image_transport writes BGR and says "compressed bgr8", whatever the camera sent.
    if image.ndim == 3 and "compressed rgb" in format:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return stretch(image)


def as_pixels(encoding: str, shape: tuple[int, int, int], step: int, depth: int, data: Any) -> np.ndarray:
    """Return the bytes of an image without the padding of its rows, (H, W * channels * depth)."""
    height, width, channels = shape
    row = width * channels * depth
    try:
        check_pixels(width, height)
    except CameraError as error:
        raise CameraError(f"image of {error}") from None
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
