# SPDX-License-Identifier: Apache-2.0
"""Images whose brightness and colours lie in planes of their own, as video decoders give them."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np

from ace_ros.data.image_header import check_pixels
from ace_ros.errors import CameraError


class Planes(NamedTuple):
    """How many columns and rows share a colour, and whether U and V take turns in one plane."""

    columns: int
    rows: int
    interleaved: bool
    v_first: bool = False


# nv12, nv21 and nv24 are names of ROS, the others those of drivers and of Video4Linux.
PLANAR = {
    "nv12": Planes(2, 2, True),
    "nv21": Planes(2, 2, True, True),
    "nv16": Planes(2, 1, True),
    "nv61": Planes(2, 1, True, True),
    "nv24": Planes(1, 1, True),
    "nv42": Planes(1, 1, True, True),
    "i420": Planes(2, 2, False),
    "yuv420": Planes(2, 2, False),
    "yuv420p": Planes(2, 2, False),
    "yv12": Planes(2, 2, False, True),
    "yuv422p": Planes(2, 1, False),
    "yuv444": Planes(1, 1, False),
    "yuv444p": Planes(1, 1, False),
}
# B, G and R of Y, U, V and 1, as BT.601 has them for video: brightness from 16 to 235.
BGR_OF_YUV = np.array(
    [[1.16438, 2.01723, 0.0], [1.16438, -0.39176, -0.81297], [1.16438, 0.0, 1.59603]], np.float64
)
BGR_OF_YUV = np.column_stack([BGR_OF_YUV, BGR_OF_YUV @ [-16.0, -128.0, -128.0]])


def decode_planes(encoding: str, height: int, width: int, step: int, data: Any) -> np.ndarray:
    """Return the BGR pixels (H, W, 3) uint8 of a sensor_msgs/Image of an encoding in PLANAR.

    `step` is that of a row of the first plane; rows of the others are padded in proportion. Raises
    CameraError.
    """
    planes = PLANAR[encoding]
    what = f"image of {width}x{height} {encoding}"
    try:
        check_pixels(width, height)
    except CameraError as error:
        raise CameraError(f"image of {error}") from None
    if width % planes.columns or height % planes.rows or step % planes.columns:
        raise CameraError(
            f"{what} with step {step} has an odd width, height or step; its colours come in pairs"
        )
    if step < width:
        raise CameraError(f"{what} has step {step}, expected at least {width} bytes")
    buffer = np.frombuffer(data, np.uint8)
    size = (height // planes.rows, width // planes.columns)
    colour_step = step // planes.columns
    needed = height * step + 2 * size[0] * colour_step
    padding = step - width  # which drivers may leave out behind the last row
    if buffer.size < needed - padding:
        raise CameraError(f"{what} has {buffer.size} bytes, expected {needed}")
    buffer = np.pad(buffer[:needed], (0, max(0, needed - buffer.size)))
    luma = buffer[: height * step].reshape(height, step)[:, :width]
    rest = buffer[height * step :]
    if planes.interleaved:
        pairs = rest.reshape(size[0], colour_step, 2)[:, : size[1]]
        u, v = pairs[..., 0], pairs[..., 1]
    else:
        u, v = rest.reshape(2, size[0], colour_step)[..., : size[1]]
    if planes.v_first:
        u, v = v, u
    u_full, v_full = (
        cv2.resize(np.ascontiguousarray(c), (width, height), interpolation=cv2.INTER_NEAREST) for c in (u, v)
    )
    return np.asarray(cv2.transform(cv2.merge([np.ascontiguousarray(luma), u_full, v_full]), BGR_OF_YUV))
