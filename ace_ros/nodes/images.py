# SPDX-License-Identifier: Apache-2.0
"""Image and CompressedImage messages to arrays and back, by cv_bridge.

cv_bridge converts colours. What it leaves open is done as for images of bags (data/image_decoding.py), so
that a recording is the same whether it was made live or from a bag: row padding that is no whole
pixel, a last row without padding, names of encodings that only newer versions know, planes, 16 bits to
8, and files, which must not be decoded before their headers were looked at.
"""

from __future__ import annotations

import array
import sys
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ace_ros.data.image_decoding import as_pixels, decode_message, layout
from ace_ros.data.sixteen_bits import Stretch, to_8_bit
from ace_ros.data.yuv_planes import PLANAR
from ace_ros.errors import CameraError

try:
    from cv_bridge import CvBridge, CvBridgeError
except Exception as error:  # one that was built for another numpy fails in ways of its own
    raise ImportError(str(error), name="cv_bridge") from error

# What cv_bridge calls encodings that it takes for plain numbers, or knows from Jazzy on.
NAMES = {
    "8UC1": "mono8",
    "16UC1": "mono16",
    "8UC3": "bgr8",
    "8UC4": "bgra8",
    "uyvy": "yuv422",
    "yuyv": "yuv422_yuy2",
}


def working_bridge() -> CvBridge:
    """Return a CvBridge that has converted one pixel there and back. Raises ImportError.

    A cv_bridge that was built for another numpy or OpenCV may import all the same, and fail at its
    first image.
    """
    pixel = np.array([[[1, 2, 3]]], np.uint8)
    try:
        bridge = CvBridge()
        found = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(pixel, "rgb8"), "bgr8")
    except Exception as error:
        raise ImportError(f"it cannot convert an image: {error!r}", name="cv_bridge") from error
    if found.tolist() != [[[3, 2, 1]]]:
        raise ImportError(f"it makes BGR {found.tolist()} of RGB [[[1, 2, 3]]]", name="cv_bridge")
    return bridge


_bridge = working_bridge()


def image_array(message: Any, stretch: Stretch = to_8_bit) -> np.ndarray:
    """Return the pixels of an Image or CompressedImage message: uint8, grey (H, W) or BGR (H, W, 3).

    `stretch` makes 8 bits of 16; without it, each image uses its own range. Raises CameraError with what
    was found and what was expected.
    """
    if hasattr(message, "format") or message.encoding in PLANAR:
        return decode_message(message, stretch)
    depth, channels, conversion = layout(message.encoding)
    wanted = f"{'mono' if channels == 1 and conversion is None else 'bgr'}{8 * depth}"
    try:
        image = _bridge.imgmsg_to_cv2(_plain(message, depth, channels), wanted)
    except (CvBridgeError, cv2.error) as error:
        raise CameraError(f"image of encoding {message.encoding!r} cannot be converted: {error}") from error
    return stretch(image)


def _plain(message: Any, depth: int, channels: int) -> Image:
    """Return an Image message as cv_bridge expects it: no padding, this machine's byte order."""
    height, width, encoding = int(message.height), int(message.width), message.encoding
    row = width * channels * depth
    pixels = as_pixels(encoding, (height, width, channels), int(message.step), depth, message.data)
    plain = Image(height=height, width=width, step=row, encoding=NAMES.get(encoding, encoding))
    plain.is_bigendian = int(sys.byteorder == "big")
    swapped = depth == 2 and bool(message.is_bigendian) != (sys.byteorder == "big")
    if swapped:
        pixels = pixels.view(np.uint16).byteswap()
    exact = message.step == row and len(message.data) == height * row and not swapped
    plain.data = message.data if exact else array.array("B", pixels.tobytes())
    return plain


def to_bgr(pixels: np.ndarray) -> np.ndarray:
    """Return BGR (H, W, 3), in memory of its own, of grey (H, W) or BGR (H, W, 3) pixels."""
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels.copy()


def image_message(pixels: np.ndarray, header: Header | None = None) -> Image:
    """Return an Image message of grey (H, W) or BGR (H, W, 3) pixels, uint8."""
    return _bridge.cv2_to_imgmsg(pixels, "mono8" if pixels.ndim == 2 else "bgr8", header)


def compressed_message(pixels: np.ndarray, header: Header | None = None) -> CompressedImage:
    """Return a PNG of grey (H, W) or BGR (H, W, 3) pixels as image_transport publishes it."""
    message = _bridge.cv2_to_compressed_imgmsg(pixels, "png")
    encoding = "mono8" if pixels.ndim == 2 else "bgr8"
    message.format = f"{encoding}; png compressed {encoding}"
    if header is not None:
        message.header = header
    return message
