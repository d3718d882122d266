# SPDX-License-Identifier: Apache-2.0
"""Point clouds as structured numpy arrays, with one field per field of the cloud."""

from __future__ import annotations

import array
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_TYPES = {
    PointField.INT8: "i1", PointField.UINT8: "u1", PointField.INT16: "i2", PointField.UINT16: "u2",
    PointField.INT32: "i4", PointField.UINT32: "u4", PointField.FLOAT32: "f4", PointField.FLOAT64: "f8",
}  # fmt: skip
_MAX_NUMBERS = 4096  # per point: a field's `count` comes from the message and may be anything


def read_points(cloud: PointCloud2, field_names: Sequence[str] | None = None) -> np.ndarray:
    """Return the points of a cloud, a structured array (N,) in this machine's byte order.

    The array shares the message's memory where its bytes need not be swapped. Raises AssertionError
    for fields that are not there, ValueError or TypeError for a cloud whose sizes do not fit its data.
    """
    assert isinstance(cloud, PointCloud2), f"expected a PointCloud2, found {type(cloud).__name__}"
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    if cloud.is_bigendian != (sys.byteorder == "big"):
        dtype = dtype.newbyteorder()
    count, bytes_held = cloud.width * cloud.height, len(cloud.data)
    if count * cloud.point_step > bytes_held:
        raise ValueError(
            f"{count} points of {cloud.point_step} bytes need {count * cloud.point_step} bytes of data, "
            f"found {bytes_held}"
        )
    points = np.ndarray((count,), dtype, buffer=cloud.data)
    if field_names is not None:
        missing = [name for name in field_names if name not in points.dtype.names]
        assert not missing, f"cloud has no field {missing[0]!r}, only {', '.join(points.dtype.names)}"
        points = points[list(field_names)]
    return points if points.dtype.isnative else points.astype(points.dtype.newbyteorder("="))


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """Return the structured type of one point, of point_step bytes where that is given.

    A field of several numbers becomes fields name_0, name_1 and so on. Raises AssertionError for
    double names and counts of 0, ValueError for fields that do not fit.
    """
    names: list[str] = []
    formats: list[str] = []
    offsets: list[int] = []
    for index, field in enumerate(fields):
        assert field.count > 0, f"field {field.name!r} has count 0"
        if field.datatype not in _TYPES:
            raise ValueError(f"field {field.name!r} has the unknown datatype {field.datatype}")
        if len(names) + field.count > _MAX_NUMBERS:
            raise ValueError(
                f"a point has at most {_MAX_NUMBERS} numbers, but field {field.name!r} has {field.count}"
            )
        number = np.dtype(_TYPES[field.datatype])
        name = field.name or f"unnamed_field_{index}"
        for part in range(field.count):
            names.append(f"{name}_{part}" if field.count > 1 else name)
            formats.append(number.str)
            offsets.append(field.offset + part * number.itemsize)
    assert len(set(names)) == len(names), f"field names are not unique: {', '.join(names)}"
    layout: dict[str, Any] = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        layout["itemsize"] = point_step
    return np.dtype(layout)


def create_cloud(header: Header, fields: Sequence[PointField], points: np.ndarray) -> PointCloud2:
    """Return a cloud of points, a structured array (N,). Raises AssertionError where it does not fit."""
    expected = dtype_from_fields(fields, points.dtype.itemsize)
    assert points.dtype == expected, f"points of type {points.dtype} do not fit the fields {expected}"
    assert points.ndim == 1, f"points in {points.ndim} dimensions, expected 1"
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=sys.byteorder == "big",
        point_step=points.dtype.itemsize,
        row_step=points.nbytes,
        data=array.array("B", points.tobytes()),
        is_dense=False,
    )
