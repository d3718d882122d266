# SPDX-License-Identifier: Apache-2.0
"""Messages from YAML and to YAML, as `ros2 topic` and `ros2 service` need them."""

from __future__ import annotations

import pytest
from geometry_msgs.msg import PointStamped
from nav_msgs.msg import Path as PathMessage
from ros2cli.messages import from_yaml, get_interface, to_yaml
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Byte, Header, String
from std_srvs.srv import SetBool


def test_interfaces_are_found_by_two_or_three_part_names() -> None:
    assert get_interface("sensor_msgs/msg/Image", "msg") is Image
    assert get_interface("sensor_msgs/Image", "msg") is Image
    assert get_interface("std_srvs/srv/SetBool", "srv") is SetBool
    for name in ("Image", "no_msgs/msg/X", "sensor_msgs/msg/X", "std_srvs/srv/SetBool", "/"):
        with pytest.raises(RuntimeError, match=f"The passed message type '{name}' is invalid"):
            get_interface(name, "msg")


def test_fields_are_set_at_every_depth() -> None:
    poses = "[{pose: {position: {x: 1}}}, {pose: {position: {y: 2.5}}}]"
    message = from_yaml(PathMessage, f"{{header: {{frame_id: map}}, poses: {poses}}}")
    assert message.header.frame_id == "map"
    assert [pose.pose.position.x for pose in message.poses] == [1.0, 0.0]
    assert message.poses[1].pose.position.y == 2.5
    info = from_yaml(CameraInfo, f"{{d: [0, 0.5], k: {list(range(9))}, width: 640, binning_x: 2}}")
    assert (list(info.d), list(info.k), info.width) == ([0.0, 0.5], list(range(9)), 640)
    assert bytes(from_yaml(Image, "data: [1, 2, 255]").data) == b"\x01\x02\xff"
    assert from_yaml(Byte, "data: 7").data == b"\x07"
    assert from_yaml(String, "data: 7").data == "7"
    assert from_yaml(String, None) == String()


BAD = (
    "nope: 1",
    "header: 5",
    "[1]",
    "height: tall",
    "height: -1",
    "height: [1]",
    "data: text",
    "{",
    "data: [300]",
)


@pytest.mark.parametrize("text", BAD)
def test_values_that_do_not_fit_are_refused(text: str) -> None:
    with pytest.raises(RuntimeError, match="Failed to populate field|The passed value"):
        from_yaml(Image, text)


def test_yaml_has_the_fields_in_their_order() -> None:
    point = PointStamped(header=Header(frame_id="map"))
    assert to_yaml(point) == (
        "header:\n  stamp:\n    sec: 0\n    nanosec: 0\n  frame_id: map\n"
        "point:\n  x: 0.0\n  y: 0.0\n  z: 0.0\n"
    )


def test_long_arrays_and_texts_are_cut() -> None:
    image = Image(encoding="x" * 10, data=bytes(range(10)))
    text = to_yaml(image, 4)
    assert "data:\n- 0\n- 1\n- 2\n- 3\n- '...'\n" in text and "encoding: xxxx...\n" in text
    assert to_yaml(image).count("\n- ") == 10
