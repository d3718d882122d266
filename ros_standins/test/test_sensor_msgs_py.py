# SPDX-License-Identifier: Apache-2.0
"""Point clouds: the cases of common_interfaces' sensor_msgs_py/test/test_point_cloud2.py and bad ones."""

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

POINTS = np.array(
    [(0.0, 0.1, 0.2), (1.0, 1.1, 1.2), (2.0, 2.1, 2.2), (3.0, 3.1, 3.2), (4.0, np.nan, 4.2), (5.0, 5.1, 5.2)],
    np.float32,
)
MIXED = np.array([tuple(point) for point in POINTS], [("a", np.float32), ("b", np.float64), ("c", np.uint8)])
MIXED_FIELDS = [
    PointField(name="a", offset=0, datatype=PointField.FLOAT32, count=1),
    PointField(name="b", offset=4, datatype=PointField.FLOAT64, count=1),
    PointField(name="c", offset=12, datatype=PointField.UINT8, count=1),
]


def make_cloud():
    return point_cloud2.create_cloud_xyz32(Header(frame_id="map"), POINTS)


def test_points_come_back_as_they_went():
    cloud = make_cloud()
    assert (cloud.width, cloud.height, cloud.point_step, cloud.row_step) == (6, 1, 12, 72)
    assert bytes(cloud.data) == POINTS.tobytes()
    assert point_cloud2.create_cloud_xyz32(Header(frame_id="map"), POINTS.tolist()) == cloud
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), POINTS)
    np.testing.assert_array_equal(np.array(point_cloud2.read_points_list(cloud)), POINTS)
    assert point_cloud2.read_points_list(cloud)[1]._fields == ("x", "y", "z")


def test_fields_points_and_nans_can_be_left_out():
    cloud = make_cloud()
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, ["x", "z"]), POINTS[:, [0, 2]])
    whole = point_cloud2.read_points_numpy(cloud, skip_nans=True)
    np.testing.assert_array_equal(whole, POINTS[[0, 1, 2, 3, 5]])
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, uvs=[5, 0]), POINTS[[5, 0]])
    cloud.is_dense = True
    assert len(point_cloud2.read_points(cloud, skip_nans=True)) == 6


def test_fields_of_several_types_are_read_together():
    cloud = point_cloud2.create_cloud(Header(), MIXED_FIELDS, MIXED)
    found = point_cloud2.read_points(cloud)
    assert found.dtype == MIXED.dtype
    np.testing.assert_array_equal(found["c"], MIXED["c"])
    assert point_cloud2.read_points_numpy(cloud, ["c"]).shape == (6, 1)
    with pytest.raises(AssertionError, match="different types"):
        point_cloud2.read_points_numpy(cloud)
    with pytest.raises(AssertionError, match="different types"):
        point_cloud2.create_cloud(Header(), MIXED_FIELDS, POINTS)


def test_a_field_of_several_numbers_becomes_several_fields():
    fields = [PointField(name="x", offset=0, datatype=PointField.FLOAT32, count=3)]
    cloud = point_cloud2.create_cloud(Header(), fields, POINTS)
    assert point_cloud2.read_points(cloud).dtype.names == ("x_0", "x_1", "x_2")
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), POINTS)


def test_points_may_be_padded():
    layout = {"names": ["x", "y", "z"], "formats": ["f4"] * 3, "offsets": [0, 4, 8], "itemsize": 20}
    padded = np.zeros(6, np.dtype(layout))
    for column, name in enumerate("xyz"):
        padded[name] = POINTS[:, column]
    fields = make_cloud().fields
    cloud = point_cloud2.create_cloud(Header(), fields, padded)
    assert cloud.point_step == 20
    assert point_cloud2.create_cloud(Header(), fields, padded, 20) == cloud
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), POINTS)
    with pytest.raises(AssertionError, match="do not fit a point_step of 12"):
        point_cloud2.create_cloud(Header(), fields, padded, 12)


def test_organized_clouds_keep_their_shape_where_that_is_asked():
    organized = POINTS.reshape(2, 3, 3)
    cloud = point_cloud2.create_cloud_xyz32(Header(), organized)
    assert (cloud.width, cloud.height, cloud.row_step) == (2, 3, 24)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), POINTS)
    found = point_cloud2.read_points_numpy(cloud, reshape_organized_cloud=True)
    np.testing.assert_array_equal(found, organized)


def test_the_other_byte_order_is_read_without_changing_the_message():
    cloud = make_cloud()
    cloud.data = POINTS.astype(">f4").tobytes()
    cloud.is_bigendian = True
    before = bytes(cloud.data)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), POINTS)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, ["y"])[:, 0], POINTS[:, 1])
    assert bytes(cloud.data) == before


BAD_CLOUDS = {
    "point_step 0": {"point_step": 0},
    "points overlap": {"point_step": 8},
    "too little data": {"width": 7},
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
    assert point_cloud2.read_points_numpy(point_cloud2.create_cloud_xyz32(Header(), [])).shape == (0, 3)
    with pytest.raises(AssertionError, match="no field 'intensity', only x, y, z"):
        point_cloud2.read_points(make_cloud(), ["intensity"])
    with pytest.raises(AssertionError, match="expected a PointCloud2"):
        point_cloud2.read_points(PointCloud2)
