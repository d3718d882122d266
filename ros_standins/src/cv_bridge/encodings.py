# SPDX-License-Identifier: Apache-2.0
"""The image encodings that cv_bridge knows, and its conversions between them."""

from __future__ import annotations

import re
from typing import NamedTuple

import cv2
import numpy as np

DEPTHS = {
    "8U": "uint8", "8S": "int8", "16U": "uint16", "16S": "int16", "32S": "int32", "32F": "float32",
    "64F": "float64",
}  # fmt: skip
# Of 8 and 16 bits, full scale is mapped to full scale; between other depths numbers stay the same.
SCALES = {(8, 16): 257.0, (16, 8): 1.0 / 257.0}


class CvBridgeError(TypeError):
    """An image that cannot be converted."""


class Encoding(NamedTuple):
    """What an encoding's name says; `colour` is OpenCV's word for it, "" for numbers without colour."""

    depth: str
    channels: int
    colour: str = ""

    @property
    def bits(self) -> int:
        """Bits per channel."""
        return int(self.depth[:-1])


COLOURS = {
    "mono8": Encoding("8U", 1, "GRAY"),
    "mono16": Encoding("16U", 1, "GRAY"),
    "yuv422": Encoding("8U", 2, "UYVY"),
    "yuv422_yuy2": Encoding("8U", 2, "YUY2"),
}
for _colour, _channels in (("rgb", 3), ("bgr", 3), ("rgba", 4), ("bgra", 4)):
    COLOURS[f"{_colour}8"] = Encoding("8U", _channels, _colour.upper())
    COLOURS[f"{_colour}16"] = Encoding("16U", _channels, _colour.upper())
# ROS names a Bayer pattern by its first two rows, OpenCV by the second row's second and third pixel.
for _pattern, _colour in (("rggb", "BG"), ("bggr", "RG"), ("gbrg", "GR"), ("grbg", "GB")):
    COLOURS[f"bayer_{_pattern}8"] = Encoding("8U", 1, f"Bayer{_colour}")
    COLOURS[f"bayer_{_pattern}16"] = Encoding("16U", 1, f"Bayer{_colour}")


def parse(name: str) -> Encoding:
    """Return what an encoding's name says. Raises CvBridgeError for an unknown one."""
    if name in COLOURS:
        return COLOURS[name]
    match = re.fullmatch(r"(8U|8S|16U|16S|32S|32F|64F)(?:C(\d{1,3}))?", name)
    if match and int(match[2] or 1) > 0:
        return Encoding(match[1], int(match[2] or 1))
    raise CvBridgeError(f"Unrecognized image encoding [{name}]")


def convert(image: np.ndarray, source: str, target: str) -> np.ndarray:
    """Return a copy of an image (H, W) or (H, W, C) in another encoding.

    Raises CvBridgeError where there is no such conversion, and for pixels that do not fit `source`.
    """
    if target in ("", source):
        return image.copy()
    old, new = parse(source), parse(target)
    if old.colour and new.colour and old.colour != new.colour:
        code = _conversion_code(old.colour, new.colour)
        if code is None:
            raise CvBridgeError(f"Unsupported conversion from [{source}] to [{target}]")
        try:
            return _to_depth(cv2.cvtColor(image, code), old, new)
        except cv2.error as error:
            raise CvBridgeError(f"[{source}] cannot be converted to [{target}]: {error}") from error
    if old.colour.startswith("Bayer") and new.colour:
        raise CvBridgeError(f"Unsupported conversion from [{source}] to [{target}]")
    if new.colour and not old.colour:
        raise CvBridgeError(f"[{source}] does not name its colours, so it cannot be converted to [{target}]")
    if old.channels != new.channels:
        raise CvBridgeError(f"[{source}] has {old.channels} channels, [{target}] has {new.channels}")
    return _to_depth(image.copy(), old, new)


def _conversion_code(old: str, new: str) -> int | None:
    if new in ("UYVY", "YUY2") or new.startswith("Bayer"):
        return None
    if old in ("UYVY", "YUY2"):
        return getattr(cv2, f"COLOR_YUV2{new}_{old}")
    if old.startswith("Bayer") and new in ("RGBA", "BGRA"):  # OpenCV could, the original does not
        return None
    return getattr(cv2, f"COLOR_{old}2{new}")


def _to_depth(image: np.ndarray, old: Encoding, new: Encoding) -> np.ndarray:
    """Return the pixels rounded and saturated to another depth."""
    dtype = np.dtype(DEPTHS[new.depth])
    if image.dtype == dtype:
        return image
    if (old.depth, new.depth) == ("16U", "8U"):
        return cv2.convertScaleAbs(image, alpha=SCALES[16, 8])  # the same, and a hundred times as fast
    scaled = image.astype(np.float64) * SCALES.get((old.bits, new.bits), 1.0)
    if dtype.kind == "f":
        return scaled.astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return np.nan_to_num(np.rint(scaled), nan=low).clip(low, high).astype(dtype)
