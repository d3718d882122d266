# SPDX-License-Identifier: Apache-2.0
"""PointCloud2 messages to arrays and back, by sensor_msgs_py."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from ace_ros.errors import CameraError

MAX_POINTS = 1 << 24
# Bytes of each of PointField's data types.
BYTES = {
    PointField.INT8: 1, PointField.UINT8: 1, PointField.INT16: 2, PointField.UINT16: 2,
    PointField.INT32: 4, PointField.UINT32: 4, PointField.FLOAT32: 4, PointField.FLOAT64: 8,
}  # fmt: skip
FIELDS = [
    PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
    for i, name in enumerate(("x", "y", "z", "rgb"))
]
KIND = np.dtype([(field.name, np.float32) for field in FIELDS])


def cloud_message(header: Header, points: np.ndarray, grey: np.ndarray) -> PointCloud2:
    """Return the message of points (P, 3) and their brightness (P,) uint8, in `rgb` as RViz reads it."""
    rows = np.zeros(len(points), KIND)
    rows["x"], rows["y"], rows["z"] = np.asarray(points, np.float32).T
    rows["rgb"] = (grey.astype(np.uint32) * 0x010101).view(np.float32)
    message = point_cloud2.create_cloud(header, FIELDS, rows)
    message.is_dense = True
    return message


def cloud_points(message: PointCloud2) -> tuple[np.ndarray, np.ndarray]:
    """Return points (P, 3) float64 and their brightness (P,) uint8 of a message of `cloud_message`."""
    rows = point_cloud2.read_points(message, field_names=[field.name for field in FIELDS])
    points = np.stack([rows[axis] for axis in "xyz"], -1).astype(np.float64)
    rgb = np.ascontiguousarray(rows["rgb"]).view(np.uint32)
    return points, (rgb & 255).astype(np.uint8)


def points_of_message(message: PointCloud2) -> np.ndarray:
    """Return the points (N, 3) float64 of a PointCloud2 that are finite numbers. Raises CameraError."""
    if not 0 <= message.width * message.height <= MAX_POINTS:
        raise CameraError(f"point cloud of {message.width}x{message.height} points is no usable size")
    if message.width * message.height == 0:
        return np.zeros((0, 3))
    rows = point_cloud2.read_points(_plain(message), field_names=["x", "y", "z"])
    points = np.stack([rows[axis] for axis in "xyz"], -1).astype(np.float64)
    return points[np.isfinite(points).all(1)]


def _plain(message: PointCloud2) -> PointCloud2:
    """Return a cloud as sensor_msgs_py reads it: only x, y and z, rows without padding.

    It reads past row_step, and swaps bytes in the message's own memory, which is read again later.
    """
    width, height, step = message.width, message.height, message.point_step
    fields = _axes(message)
    needed = (height - 1) * message.row_step + width * step
    if message.row_step < width * step or len(message.data) < needed:
        raise CameraError(
            f"point cloud of {width}x{height} points of {step} bytes has row_step {message.row_step} and "
            f"{len(message.data)} bytes, expected at least {width * step} and {needed}"
        )
    plain = PointCloud2(
        height=1, width=width * height, fields=fields, is_bigendian=message.is_bigendian,
        point_step=step, row_step=width * height * step,
    )  # fmt: skip
    exact = message.row_step == width * step and not message.is_bigendian
    plain.data = message.data if exact else _without_padding(message)
    return plain


def _without_padding(message: PointCloud2) -> array.array[int]:
    data = np.frombuffer(message.data, np.uint8)
    shape = (message.height, message.width * message.point_step)
    rows = np.lib.stride_tricks.as_strided(data, shape, (message.row_step, 1))
    return array.array("B", rows.tobytes())


def _axes(message: PointCloud2) -> list[PointField]:
    """Return the fields x, y and z, checked to lie within each point."""
    fields: dict[str, Any] = {field.name: field for field in message.fields}
    if not fields.keys() >= set("xyz"):
        raise CameraError(f"point cloud has the fields {', '.join(fields) or 'none'}; expected x, y and z")
    axes = []
    for axis in "xyz":
        code, offset = fields[axis].datatype, fields[axis].offset
        if code not in BYTES or offset > message.point_step - BYTES[code]:
            raise CameraError(
                f"point cloud has {axis} of data type {code} at byte {offset} of points of "
                f"{message.point_step} bytes; expected one of sensor_msgs/PointField inside the point"
            )
        axes.append(PointField(name=axis, offset=offset, datatype=code, count=1))
    return axes
