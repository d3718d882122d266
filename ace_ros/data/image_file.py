# SPDX-License-Identifier: Apache-2.0
"""PNG and JPEG files: what their headers say, which is checked before anything is decoded, and their pixels.

Images of other kinds are refused by name. A tag that asks viewers to turn the image (EXIF orientation)
is ignored: intrinsics belong to the pixels as stored.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ace_ros.data.image_header import (
    JPEG_END,
    PNG_END,
    ImageHeader,
    check_memory,
    read_header,
    require_whole,
)
from ace_ros.data.sixteen_bits import Range, range_among, range_of, to_8_bit
from ace_ros.errors import CameraError, SceneError
from ace_ros.files.limits import MAX_IMAGE_BYTES
from ace_ros.files.outside import open_plain, read_bytes, size_of

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
HEADER_BYTES = 1 << 16  # read at first; most headers are shorter
RANGE_SAMPLES = 8  # images of a folder from which the range of 16-bit values is taken


def image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) in pixels of a PNG or JPEG file without decoding it.

    Raises SceneError when the file cannot be read, is of another kind, is cut off or too large.
    """
    return image_header(path).size


def image_header(path: Path) -> ImageHeader:
    """Return what the header of a PNG or JPEG file says; raises SceneError as `image_size` does."""
    try:
        with open_plain(path, SceneError) as file:
            length = size_of(path, file, MAX_IMAGE_BYTES, SceneError)
            start = file.read(HEADER_BYTES)
            try:
                header = read_header(start)
            except CameraError:  # a JPEG may have a lot before its header
                start += file.read()
                header = read_header(start)
            check_memory(header, length)
            file.seek(max(0, length - len(PNG_END)))
            # Some cameras append data of their own after the image.
            if not file.read().endswith((PNG_END, JPEG_END)) and file.seek(0) == 0:
                require_whole(file.read())
            return header
    except OSError as error:
        raise SceneError(f"{path}: cannot be read: {error.strerror or error}") from error
    except CameraError as error:
        raise SceneError(f"{path}: {error}") from error


def read_grey(path: Path) -> np.ndarray:
    """Return the grey values of an image file, uint8 (H, W); raises SceneError.

    16-bit values are stretched to 8 bits, alike for all images of a folder, of both splits of a scene.
    """
    data, header = _read(path)
    if header.bits == 16:
        image = _stretched(path, data)
        return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return _decoded(path, data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)


def read_image(path: Path) -> np.ndarray:
    """Return the pixels of an image file, uint8, grey (H, W) or BGR (H, W, 3); as `read_grey` otherwise."""
    data, header = _read(path)
    if header.bits == 16:
        return _stretched(path, data)
    return without_alpha(_decoded(path, data, cv2.IMREAD_UNCHANGED))


def read_unchanged(path: Path) -> np.ndarray:
    """Return the pixels of an image file as they are stored, (H, W) or (H, W, C); raises SceneError."""
    return _decoded(path, _read(path)[0], cv2.IMREAD_UNCHANGED)


def without_alpha(image: np.ndarray) -> np.ndarray:
    """Return grey (H, W) or BGR (H, W, 3) pixels of those that may have an alpha channel."""
    return np.ascontiguousarray(image[..., :3]) if image.ndim == 3 else image


def _stretched(path: Path, data: np.ndarray) -> np.ndarray:
    """Return the 16-bit pixels that an image file holds, as `read_image` does."""
    image = without_alpha(_decoded(path, data, cv2.IMREAD_UNCHANGED))
    return to_8_bit(image, range_among(range_of(image), _ranges_of_recording(path.parent.absolute())))


def _read(path: Path) -> tuple[np.ndarray, ImageHeader]:
    """Return the bytes (N,) of an image file and its header, which is checked; raises SceneError."""
    data = read_bytes(path, MAX_IMAGE_BYTES, SceneError)
    try:
        header = read_header(data)
        check_memory(header, len(data))
        require_whole(data)
    except CameraError as error:
        raise SceneError(f"{path}: {error}") from error
    return np.frombuffer(data, np.uint8), header


def _decoded(path: Path, data: np.ndarray, flags: int) -> np.ndarray:
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise SceneError(f"{path}: cannot be decoded: {error.err}") from error
    if image is None:
        raise SceneError(f"{path}: cannot be decoded, the image is damaged")
    return image


@lru_cache(maxsize=64)
def _ranges_of_recording(folder: Path) -> list[Range]:
    """Return the ranges of some 16-bit images in a folder, of a scene in both of its splits."""
    folders = (folder, *folder.parent.parent.glob("*/rgb")) if folder.name == "rgb" else (folder,)
    paths = sorted(
        {path for one in folders for path in one.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}
    )
    step = max(1, len(paths) // RANGE_SAMPLES)
    ranges = []
    for path in paths[::step]:
        try:
            if image_header(path).bits == 16:
                ranges.append(range_of(without_alpha(read_unchanged(path))))
        except SceneError:  # said where that image is used
            continue
    return ranges
