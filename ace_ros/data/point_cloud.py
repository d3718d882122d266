# SPDX-License-Identifier: Apache-2.0
"""Points of a LiDAR as sparse depth images of a camera; nothing here needs ROS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ace_ros.data.depth_image import millimetres
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import MAX_RAY_ANGLE, Camera

MAX_POINTS = 1 << 24
# sensor_msgs/PointField: how numpy names its data types.
DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
MAX_FOLD = 0.01  # on the plane z = 1; a distortion that brings back more than that has folded over


def points_of_message(message: Any) -> np.ndarray:
    """Return the points (N, 3) float64 of a sensor_msgs/PointCloud2 that are finite numbers.

    Only attributes of the message are read. Raises CameraError.
    """
    width, height, step = int(message.width), int(message.height), int(message.point_step)
    row_step = int(message.row_step)
    if not 0 <= width * height <= MAX_POINTS:
        raise CameraError(f"point cloud of {width}x{height} points is no usable size")
    if width * height == 0:
        return np.zeros((0, 3))
    kind = _layout(message, step)
    needed = (height - 1) * row_step + width * step
    data = np.frombuffer(message.data, np.uint8)
    if row_step < width * step or data.size < needed:
        raise CameraError(
            f"point cloud of {width}x{height} points of {step} bytes has row_step {row_step} and "
            f"{data.size} bytes, expected at least {width * step} and {needed}"
        )
    rows = np.lib.stride_tricks.as_strided(data, (height, width * step), (row_step, 1))
    cloud = np.ascontiguousarray(rows).reshape(-1).view(kind)
    points = np.stack([cloud[axis] for axis in "xyz"], -1).astype(np.float64)
    return points[np.isfinite(points).all(1)]


def _layout(message: Any, step: int) -> np.dtype:
    """Return where x, y and z lie in each point."""
    fields = {field.name: field for field in message.fields}
    if not fields.keys() >= set("xyz"):
        raise CameraError(f"point cloud has the fields {', '.join(fields) or 'none'}; expected x, y and z")
    order = ">" if message.is_bigendian else "<"
    formats, offsets = [], []
    for axis in "xyz":
        code, offset = int(fields[axis].datatype), int(fields[axis].offset)
        if code not in DATATYPES or not 0 <= offset <= step - int(DATATYPES[code][1]):
            raise CameraError(
                f"point cloud has {axis} of data type {code} at byte {offset} of points of {step} bytes; "
                "expected one of sensor_msgs/PointField inside the point"
            )
        formats.append(order + DATATYPES[code])
        offsets.append(offset)
    return np.dtype({"names": list("xyz"), "formats": formats, "offsets": offsets, "itemsize": step})


def depth_of_points(points: np.ndarray, T_camera_points: np.ndarray, camera: Camera) -> np.ndarray:
    """Return the depth image (H, W) uint16, of the camera's size, of points (N, 3) in metres.

    `T_camera_points` (4, 4) takes the points into the optical frame. Of two in a pixel the nearer one
    counts; points elsewhere may still be such as the camera does not see, behind something.
    """
    in_camera = points @ T_camera_points[:3, :3].T + T_camera_points[:3, 3]
    radius = np.hypot(in_camera[:, 0], in_camera[:, 1])
    in_camera = in_camera[(in_camera[:, 2] > 0) & (radius < math.tan(MAX_RAY_ANGLE) * in_camera[:, 2])]
    pixels = camera.project(torch.from_numpy(in_camera))
    width, height = camera.size
    x, y = pixels.round().unbind(-1)
    seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    pixels, in_camera = pixels[seen], in_camera[seen.numpy()]
    # Polynomials of distortion turn back far outside the image and may bring points into it.
    rays = in_camera[:, :2] / in_camera[:, 2:]
    off = np.abs(camera.unproject(pixels).numpy() - rays).max(1, initial=0.0)
    pixels, z = pixels[torch.from_numpy(off < MAX_FOLD)], in_camera[off < MAX_FOLD, 2]
    far_first = np.argsort(-z)
    column, row = pixels.round().long().numpy()[far_first].T
    depth_mm = np.zeros((height, width), np.uint16)
    depth_mm[row, column] = millimetres(z[far_first], 1000.0)
    return depth_mm
