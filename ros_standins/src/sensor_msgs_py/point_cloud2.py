# SPDX-License-Identifier: Apache-2.0
"""Point clouds as structured numpy arrays, with one field per field of the cloud."""

from __future__ import annotations

import array
import sys
from collections import namedtuple
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_TYPES = {
    PointField.INT8: "i1", PointField.UINT8: "u1", PointField.INT16: "i2", PointField.UINT16: "u2",
    PointField.INT32: "i4", PointField.UINT32: "u4", PointField.FLOAT32: "f4", PointField.FLOAT64: "f8",
}  # fmt: skip
_MAX_NUMBERS = 4096  # per point: a field's `count` comes from the message and may be anything


def read_points(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Return the points of a cloud, a structured array (N,) in this machine's byte order.

    `uvs` are indices of the points wanted. An organized cloud is reshaped to (width, height), as the
    original does. The array shares the message's memory where nothing was left out or swapped.
    Raises AssertionError for fields that are not there, ValueError or TypeError for a cloud whose
    sizes do not fit its data.
    """
    assert isinstance(cloud, PointCloud2), f"expected a PointCloud2, found {type(cloud).__name__}"
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    if cloud.is_bigendian != (sys.byteorder == "big"):
        dtype = dtype.newbyteorder()
    count, bytes_held = cloud.width * cloud.height, len(cloud.data)
    if count * cloud.point_step > bytes_held:
        raise ValueError(f"{count} points of {cloud.point_step} bytes do not fit {bytes_held} bytes of data")
    points = np.ndarray((count,), dtype, buffer=cloud.data)
    if field_names is not None:
        missing = [name for name in field_names if name not in points.dtype.names]
        assert not missing, f"cloud has no field {missing[0]!r}, only {', '.join(points.dtype.names)}"
        points = points[list(field_names)]
    if not points.dtype.isnative:
        points = points.astype(points.dtype.newbyteorder("="))
    if skip_nans and not cloud.is_dense:
        points = points[~np.any([np.isnan(points[name]) for name in points.dtype.names], axis=0)]
    if uvs is not None:
        points = points[uvs if isinstance(uvs, np.ndarray) else np.fromiter(uvs, int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return points


def read_points_numpy(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Return fields of one type as a plain array (N, fields). See read_points().

    Raises AssertionError, too, where the fields have different types.
    """
    types = {f.datatype for f in cloud.fields if field_names is None or f.name in field_names}
    assert len(types) <= 1, "fields have different types: use read_points()"
    return structured_to_unstructured(
        read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    )


def read_points_list(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
) -> list[Any]:
    """Return points as a list of named tuples. See read_points()."""
    points = read_points(cloud, field_names, skip_nans, uvs)
    point_type = namedtuple("Point", points.dtype.names)
    return [point_type._make(point) for point in points]


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
                f"a point with more than {_MAX_NUMBERS} numbers: {field.name!r} has {field.count}"
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


def create_cloud(
    header: Header, fields: Sequence[PointField], points: Any, point_step: int | None = None
) -> PointCloud2:
    """Return a cloud of points: a structured array, an array (..., fields) or tuples.

    A structured array of two dimensions (width, height) becomes an organized cloud. Raises
    AssertionError where points do not fit the fields.
    """
    if isinstance(points, np.ndarray) and points.dtype.names is not None:
        assert point_step is None or points.dtype.itemsize == point_step, (
            f"points of {points.dtype.itemsize} bytes do not fit a point_step of {point_step}"
        )
        expected = dtype_from_fields(fields, points.dtype.itemsize)
        assert points.dtype == expected, f"points of type {points.dtype} do not fit the fields {expected}"
    elif isinstance(points, np.ndarray):
        assert len({field.datatype for field in fields}) <= 1, (
            "fields have different types: give a structured array"
        )
        points = unstructured_to_structured(points, dtype_from_fields(fields, point_step))
    else:
        points = np.array([tuple(point) for point in points], dtype_from_fields(fields, point_step))
    assert points.ndim <= 2, f"points in {points.ndim} dimensions, expected at most 2"
    width, step = points.shape[0], points.dtype.itemsize
    return PointCloud2(
        header=header,
        height=points.shape[1] if points.ndim == 2 else 1,
        width=width,
        fields=fields,
        is_bigendian=sys.byteorder == "big",
        point_step=step,
        row_step=step * width,
        data=array.array("B", points.tobytes()),
        is_dense=False,
    )


def create_cloud_xyz32(header: Header, points: Any) -> PointCloud2:
    """Return a cloud of points (..., 3) with the float32 fields x, y and z."""
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate("xyz")
    ]
    return create_cloud(header, fields, points)
