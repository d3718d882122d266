# SPDX-License-Identifier: Apache-2.0
"""PNG and JPEG files: their size from the header alone, their pixels, and whether they are whole.

A tag that asks viewers to turn the image (EXIF orientation) is ignored: intrinsics belong to the
pixels as stored.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from ace_ros.errors import SceneError
from ace_ros.files.outside import open_plain

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_IMAGE_BYTES = 1 << 28
MAX_PIXELS = 1 << 28

PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
JPEG_START, JPEG_PIXELS, JPEG_END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"
# Start-of-frame markers; C4, C8 and CC in that range mean other things.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) in pixels of a PNG or JPEG file without decoding it.

    Raises SceneError when the file cannot be read, is of another kind, or is cut off.
    """
    try:
        with open_plain(path, SceneError) as file:
            if os.fstat(file.fileno()).st_size > MAX_IMAGE_BYTES:
                raise SceneError(f"{path}: larger than {MAX_IMAGE_BYTES} bytes, not taken for an image")
            data = file.read(1 << 16)
            size = parse_size(data) or parse_size(data + file.read())
            if size is None:
                raise SceneError(f"{path}: not a readable PNG or JPEG image ({_describe(data)})")
            _check_whole(path, file)
    except OSError as error:
        raise SceneError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise SceneError(f"{path}: its header says {size[0]}x{size[1]} pixels, which is no usable size")
    return size


def read_grey(path: Path) -> np.ndarray:
    """Return the grey values of an image file, uint8 (H, W); raises SceneError."""
    image_size(path)
    data = np.fromfile(path, np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise SceneError(f"{path}: cannot be decoded: {error.err}") from error
    if image is None:
        raise SceneError(f"{path}: cannot be decoded, the image is damaged")
    return image


def parse_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) from the beginning of PNG or JPEG data; None where it has none."""
    if data.startswith(PNG_START) and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    if not data.startswith(JPEG_START):
        return None
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in JPEG_FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        # Fill bytes and markers without a length are one or two bytes long.
        if marker == 0xFF:
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None


def is_whole(data: bytes) -> bool:
    """Return whether PNG or JPEG data has its end marker; decoders fill what is missing."""
    if data.startswith(PNG_START):
        return PNG_END in data
    # A thumbnail in the header has an end marker too, so look behind the start of the pixels.
    return data.find(JPEG_END, data.find(JPEG_PIXELS)) >= 0


def _check_whole(path: Path, file: BinaryIO) -> None:
    file.seek(max(0, os.fstat(file.fileno()).st_size - 12))
    if file.read().endswith((PNG_END, JPEG_END)):
        return
    # Some cameras append data of their own after the image.
    file.seek(0)
    data = file.read()
    if not is_whole(data):
        raise SceneError(f"{path}: the image is cut off after {len(data)} bytes")


def _describe(data: bytes) -> str:
    return "the file is empty" if not data else f"it begins with {data[:8]!r}"
