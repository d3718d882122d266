# SPDX-License-Identifier: Apache-2.0
"""Messages from YAML and to YAML, as `ros2 topic` and `ros2 service` need them."""

from __future__ import annotations

import pytest
import yaml

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path as PathMessage
from ros2cli.messages import fill, get_interface, to_plain, to_yaml
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import SetBool


def test_interfaces_are_found_by_two_or_three_part_names() -> None:
    assert get_interface("sensor_msgs/msg/Image", "msg") is Image
    assert get_interface("sensor_msgs/Image", "msg") is Image
    assert get_interface("std_srvs/srv/SetBool", "srv") is SetBool


@pytest.mark.parametrize(
    "name", ["Image", "no_msgs/msg/X", "sensor_msgs/msg/X", "std_srvs/srv/SetBool"]
)
def test_what_is_no_message_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"there is no msg interface '{name}'"):
        get_interface(name, "msg")


def test_fields_are_set_at_every_depth() -> None:
    message = PathMessage()
    poses = "[{pose: {position: {x: 1}}}, {pose: {position: {y: 2.5}}}]"
    fill(message, yaml.safe_load(f"{{header: {{frame_id: map}}, poses: {poses}}}"))
    assert message.header.frame_id == "map"
    assert [pose.pose.position.x for pose in message.poses] == [1.0, 0.0]
    assert message.poses[1].pose.position.y == 2.5
    assert message.poses[1].pose.orientation.w == 1.0


def test_arrays_take_numbers_of_either_kind() -> None:
    info = CameraInfo()
    fill(info, {"d": [0, 0.5], "k": list(range(9)), "width": 640})
    assert list(info.d) == [0.0, 0.5]
    assert list(info.k) == [float(value) for value in range(9)]
    image = Image()
    fill(image, {"data": [1, 2, 255]})
    assert bytes(image.data) == b"\x01\x02\xff"


def test_times_can_be_left_to_the_moment_of_sending() -> None:
    message, stamps = PoseStamped(), []
    fill(message, {"header": "auto"}, stamps)
    other = PoseStamped()
    fill(other, {"header": {"stamp": "now"}}, stamps)
    time = type(message.header.stamp)(sec=5, nanosec=6)
    for set_stamp in stamps:
        set_stamp(time)
    assert message.header.stamp == time
    assert other.header.stamp == time


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"nope": 1}, AttributeError),
        ({"header": 5}, TypeError),
        ([1], TypeError),
        ({"height": "tall"}, ValueError),
        ({"height": -1}, (AssertionError, ValueError)),
        ({"height": [1]}, TypeError),
    ],
)
def test_values_that_do_not_fit_are_refused(values: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        fill(Image(), values)


def test_yaml_has_the_fields_in_their_order() -> None:
    message = PoseStamped()
    message.header.frame_id = "map"
    assert to_yaml(to_plain(message)) == (
        "header:\n  stamp:\n    sec: 0\n    nanosec: 0\n  frame_id: map\n"
        "pose:\n  position:\n    x: 0.0\n    y: 0.0\n    z: 0.0\n"
        "  orientation:\n    x: 0.0\n    y: 0.0\n    z: 0.0\n    w: 1.0\n"
    )


def test_long_arrays_and_texts_are_cut() -> None:
    image = Image(encoding="x" * 10, data=bytes(range(10)))
    plain = to_plain(image, truncate=4)
    assert plain["data"] == [0, 1, 2, 3, "..."]
    assert plain["encoding"] == "xxxx..."
    assert len(to_plain(image)["data"]) == 10


def test_arrays_and_texts_can_be_left_out() -> None:
    cloud = to_plain(PointCloud2(data=b"abc"), no_arr=True)
    assert cloud["data"] == "<sequence type: uint8, length: 3>"
    assert cloud["fields"] == "<sequence type: sensor_msgs/msg/PointField, length: 0>"
    assert to_plain(CameraInfo(), no_arr=True)["k"] == "<array type: double[9]>"
    assert to_plain(Image(encoding="rgb8"), no_str=True)["encoding"] == "<string length: <4>>"
