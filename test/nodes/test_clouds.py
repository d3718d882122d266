# SPDX-License-Identifier: Apache-2.0
"""Points of PointCloud2 messages, and the message of a map's points."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sensor_msgs_py")

from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from ace_ros.errors import CameraError
from ace_ros.nodes.clouds import MAX_POINTS, cloud_message, cloud_points, points_of_message

POINTS = np.random.default_rng(0).uniform(-5.0, 5.0, (24, 3))


def message(number: str = "f4", big: bool = False, height: int = 1, padding: int = 0, **changes: Any) -> Any:
    """Return POINTS as a PointCloud2: other fields before and between, rows padded."""
    order = ">" if big else "<"
    size = int(number[1])
    offsets = {"intensity": 0, "x": 3, "y": 3 + size, "z": 8 + 2 * size}
    kind = np.dtype(
        {
            "names": list(offsets),
            "formats": ["u1", *[order + number] * 3],
            "offsets": list(offsets.values()),
            "itemsize": 8 + 3 * size + 5,
        }
    )
    cloud = np.zeros(len(POINTS), kind)
    for i, axis in enumerate("xyz"):
        cloud[axis] = POINTS[:, i]
    rows = np.pad(cloud.view(np.uint8).reshape(height, -1), ((0, 0), (0, padding)))
    codes = {"f4": 7, "f8": 8, "i2": 3}
    fields = [
        PointField(name=n, offset=o, datatype=2 if n == "intensity" else codes[number], count=1)
        for n, o in offsets.items()
    ]
    about = {
        "width": len(POINTS) // height,
        "height": height,
        "fields": fields,
        "is_bigendian": big,
        "point_step": kind.itemsize,
        "row_step": rows.shape[1],
        "data": array.array("B", rows.tobytes()),
    }
    return PointCloud2(**{**about, **changes})


@pytest.mark.parametrize("number", ["f4", "f8", "i2"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("height", "padding"), [(1, 0), (4, 0), (4, 9)])
def test_points_of_any_layout_are_read(number: str, big: bool, height: int, padding: int) -> None:
    found = points_of_message(message(number, big, height, padding))
    np.testing.assert_array_equal(found, POINTS.astype(number).astype(np.float64))


def test_reading_a_cloud_leaves_its_message_as_it_is() -> None:
    """An image may want the same cloud as the one before."""
    cloud = message(big=True)
    before = bytes(cloud.data)
    np.testing.assert_array_equal(points_of_message(cloud), points_of_message(cloud))
    assert bytes(cloud.data) == before


def test_points_that_are_not_finite_are_left_out() -> None:
    cloud = message("f8")
    data = bytearray(cloud.data)
    step = cloud.point_step
    data[5 * step + 3 : 5 * step + 11] = np.float64("nan").tobytes()
    data[7 * step + 3 : 7 * step + 11] = np.float64("inf").tobytes()
    cloud.data = array.array("B", data)
    np.testing.assert_array_equal(points_of_message(cloud), np.delete(POINTS, [5, 7], 0))
    assert points_of_message(message(width=0)).shape == (0, 3)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"width": MAX_POINTS + 1}, "no usable size"),
        ({"width": 1000}, "expected at least"),
        ({"row_step": 3}, "row_step 3"),
        ({"data": array.array("B", b"few")}, "and 3 bytes, expected"),
        ({"fields": []}, "has the fields none; expected x, y and z"),
        ({"point_step": 4}, "x of data type 7 at byte 3 of points of 4 bytes"),
        ({"point_step": 0}, "of points of 0 bytes"),
    ],
)
def test_clouds_that_cannot_be_read_are_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(CameraError, match=sentence):
        points_of_message(message(**changes))


def test_the_cloud_holds_points_and_brightness() -> None:
    points = np.array([[1.0, 2.0, 3.0], [-4.0, 5.5, 0.25]])
    grey = np.array([10, 200], np.uint8)
    cloud = cloud_message(Header(frame_id="map"), points, grey)
    assert cloud.header.frame_id == "map" and cloud.is_dense
    assert [(f.name, f.offset, f.datatype) for f in cloud.fields] == [
        ("x", 0, 7), ("y", 4, 7), ("z", 8, 7), ("rgb", 12, 7)
    ]  # fmt: skip
    assert (cloud.width, cloud.height, cloud.point_step, len(cloud.data)) == (2, 1, 16, cloud.row_step)
    rows = np.frombuffer(cloud.data, np.float32).reshape(2, 4)
    np.testing.assert_array_equal(rows[:, :3], points.astype(np.float32))
    assert np.frombuffer(cloud.data, np.uint8).reshape(2, 16)[:, 12:15].tolist() == [[10] * 3, [200] * 3]
    for found, expected in zip(cloud_points(cloud), (points, grey), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_cloud_of_no_points_is_one() -> None:
    cloud = cloud_message(Header(), np.zeros((0, 3)), np.zeros(0, np.uint8))
    assert cloud.width == 0 and cloud_points(cloud)[0].shape == (0, 3)
