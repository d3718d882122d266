# SPDX-License-Identifier: Apache-2.0
"""Point clouds: the cases of common_interfaces' sensor_msgs_py/test/test_point_cloud2.py and bad ones."""

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

FIELDS = [
    PointField(name="x", offset=0, datatype=PointField.FLOAT32, count=1),
    PointField(name="y", offset=4, datatype=PointField.FLOAT64, count=1),
    PointField(name="z", offset=12, datatype=PointField.UINT8, count=1),
]
TYPE = np.dtype([("x", np.float32), ("y", np.float64), ("z", np.uint8)])
POINTS = np.array([(0.0, 0.1, 2), (1.0, 1.1, 12), (-2.5, 2.1, 22), (3.0, np.inf, 255)], TYPE)


def make_cloud():
    return point_cloud2.create_cloud(Header(frame_id="map"), FIELDS, POINTS)


def test_points_come_back_as_they_went():
    cloud = make_cloud()
    assert (cloud.width, cloud.height, cloud.point_step, cloud.row_step) == (4, 1, 13, 52)
    assert cloud.header.frame_id == "map" and bytes(cloud.data) == POINTS.tobytes()
    found = point_cloud2.read_points(cloud)
    assert found.dtype == TYPE
    np.testing.assert_array_equal(found, POINTS)


def test_fields_can_be_chosen():
    found = point_cloud2.read_points(make_cloud(), ["z", "x"])
    assert found.dtype.names == ("z", "x")
    np.testing.assert_array_equal(found["z"], POINTS["z"])
    with pytest.raises(AssertionError, match="no field 'intensity', only x, y, z"):
        point_cloud2.read_points(make_cloud(), ["intensity"])


def test_a_field_of_several_numbers_becomes_several_fields():
    fields = [PointField(name="x", offset=0, datatype=PointField.FLOAT32, count=3)]
    points = np.array([(1.0, 2.0, 3.0)], [(f"x_{part}", np.float32) for part in range(3)])
    found = point_cloud2.read_points(point_cloud2.create_cloud(Header(), fields, points))
    assert found.dtype.names == ("x_0", "x_1", "x_2") and found.tolist() == [(1.0, 2.0, 3.0)]


def test_points_may_be_padded():
    layout = {"names": ["x", "y", "z"], "formats": ["f4", "f8", "u1"], "offsets": [0, 4, 12], "itemsize": 20}
    cloud = point_cloud2.create_cloud(Header(), FIELDS, POINTS.astype(np.dtype(layout)))
    assert (cloud.point_step, cloud.row_step) == (20, 80)
    np.testing.assert_array_equal(point_cloud2.read_points(cloud).astype(TYPE), POINTS)


def test_points_that_do_not_fit_the_fields_are_refused():
    with pytest.raises(AssertionError, match="do not fit the fields"):
        point_cloud2.create_cloud(Header(), FIELDS[:2], POINTS)
    with pytest.raises(AssertionError, match="2 dimensions, expected 1"):
        point_cloud2.create_cloud(Header(), FIELDS, POINTS.reshape(2, 2))


def test_the_other_byte_order_is_read_without_changing_the_message():
    cloud = make_cloud()
    cloud.data = POINTS.astype(TYPE.newbyteorder()).tobytes()
    cloud.is_bigendian = not cloud.is_bigendian
    before = bytes(cloud.data)
    found = point_cloud2.read_points(cloud)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, POINTS)
    np.testing.assert_array_equal(point_cloud2.read_points(cloud, ["y"])["y"], POINTS["y"])
    assert bytes(cloud.data) == before


BAD_CLOUDS = {
    "point_step 0": {"point_step": 0},
    "points overlap": {"point_step": 8},
    "too little data": {"width": 5},
    "endless": {"width": 2**32 - 1, "height": 2**32 - 1},
    "offset far away": {"fields": [PointField(name="x", offset=2**32 - 1, datatype=7, count=1)]},
    "count without end": {"fields": [PointField(name="x", offset=0, datatype=7, count=2**32 - 1)]},
    "count 0": {"fields": [PointField(name="x", offset=0, datatype=7, count=0)]},
    "unknown type": {"fields": [PointField(name="x", offset=0, datatype=99, count=1)]},
    "double name": {"fields": [PointField(name="x", offset=0, datatype=7, count=1)] * 2},
    "point_step too large": {"point_step": 2**32 - 1},
}


@pytest.mark.parametrize("name", BAD_CLOUDS)
def test_clouds_whose_sizes_make_no_sense_are_refused(name):
    cloud = make_cloud()
    for attribute, value in BAD_CLOUDS[name].items():
        setattr(cloud, attribute, value)
    with pytest.raises((ValueError, TypeError, AssertionError)):
        point_cloud2.read_points(cloud)


def test_an_empty_cloud_has_no_points():
    assert point_cloud2.read_points(point_cloud2.create_cloud(Header(), FIELDS, POINTS[:0])).shape == (0,)
    with pytest.raises(AssertionError, match="expected a PointCloud2"):
        point_cloud2.read_points(PointCloud2)
