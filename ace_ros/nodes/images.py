# SPDX-License-Identifier: Apache-2.0
"""Image and CompressedImage messages to arrays and back; only attributes of messages are read."""

from __future__ import annotations

import array
import sys
from typing import Any

import cv2
import numpy as np

from ace_ros.data.image_decoding import decode_compressed, decode_image
from ace_ros.errors import CameraError


def image_array(message: Any) -> np.ndarray:
    """Return the pixels of an Image or CompressedImage message: uint8, grey (H, W) or BGR (H, W, 3).

    The array may share memory with the message. Raises CameraError with what was found and what
    was expected.
    """
    if not hasattr(message, "format"):
        height, width, step = int(message.height), int(message.width), int(message.step)
        return decode_image(message.encoding, height, width, step, bool(message.is_bigendian), message.data)
    if "compressedDepth" in message.format:
        raise CameraError(f"compressed image of format {message.format!r} is depth, expected JPEG or PNG")
    return decode_compressed(message.data)


def to_bgr(pixels: np.ndarray) -> np.ndarray:
    """Return BGR (H, W, 3), in memory of its own, of grey (H, W) or BGR (H, W, 3) pixels."""
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels.copy()


def fill_image(message: Any, pixels: np.ndarray) -> Any:
    """Write grey (H, W) or BGR (H, W, 3) pixels, uint8, into an Image message and return it."""
    message.height, message.width = pixels.shape[:2]
    message.encoding = "mono8" if pixels.ndim == 2 else "bgr8"
    message.step = pixels.shape[1] * (1 if pixels.ndim == 2 else 3)
    message.is_bigendian = int(sys.byteorder == "big")
    # An array of bytes is what rosidl stores; anything else it would check value by value.
    message.data = array.array("B", np.ascontiguousarray(pixels).tobytes())
    return message


def fill_compressed(message: Any, pixels: np.ndarray) -> Any:
    """Write pixels as PNG into a CompressedImage message, as image_transport does, and return it."""
    done, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise CameraError(f"an image of shape {pixels.shape} cannot be written as PNG")
    message.format = "mono8; png compressed mono8" if pixels.ndim == 2 else "bgr8; png compressed bgr8"
    message.data = array.array("B", data.tobytes())
    return message
