# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array
import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from embedded_ros import codec, definitions
from embedded_ros.definitions import InterfaceError, type_hash
from geometry_msgs.msg import PoseWithCovariance, Quaternion, TransformStamped
from rcl_interfaces.msg import ParameterType, ParameterValue
from sensor_msgs.msg import CameraInfo, Image, PointField
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool, Trigger
from tf2_msgs.msg import TFMessage


def test_type_hashes_are_those_of_ros_2() -> None:
    known = "df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"
    assert type_hash("std_msgs/msg/String") == f"RIHS01_{known}"


def test_service_hashes_are_those_of_ros_2(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    folder = tmp_path / "example_interfaces" / "srv"
    folder.mkdir(parents=True)
    (folder / "AddTwoInts.srv").write_text("int64 a\nint64 b\n---\nint64 sum\n")
    monkeypatch.setattr(definitions, "BUNDLED", tmp_path)
    known = "e118de6bf5eeb66a2491b5bda11202e7b68f198d6f67922cf30364858239c81a"
    assert type_hash("example_interfaces/srv/AddTwoInts") == f"RIHS01_{known}"


def test_a_string_has_the_cdr_bytes_of_ros_2() -> None:
    data = bytes.fromhex("00010000 06000000 68656c6c6f00")
    assert serialize_message(String(data="hello")) == data
    assert deserialize_message(data, String) == String(data="hello")


def test_big_endian_cdr_is_read() -> None:
    stamp = codec.deserialize(bytes.fromhex("00000000 00000007 00000009"), Time)
    assert stamp == Time(sec=7, nanosec=9)


def test_defaults_come_from_the_definition() -> None:
    assert Quaternion().w == 1.0
    assert Image().data == array.array("B")
    assert PoseWithCovariance().covariance.tolist() == [0.0] * 36
    assert PointField.FLOAT32 == 7
    assert DiagnosticStatus().level == DiagnosticStatus.OK == b"\0"
    assert Trigger.Response().success is False


@pytest.mark.parametrize(
    "make",
    [
        lambda: TFMessage(transforms=[TransformStamped(child_frame_id="a"), TransformStamped()]),
        lambda: CameraInfo(width=3, d=[0.1, -0.2], k=np.arange(9.0), distortion_model="plumb_bob"),
        lambda: ParameterValue(
            type=ParameterType.PARAMETER_BOOL_ARRAY,
            bool_array_value=[True, False],
            byte_array_value=[b"\1", b"\xff"],
            string_array_value=["", "ä"],
            double_array_value=[math.inf],
        ),
        lambda: DiagnosticStatus(level=b"\xff", name="x"),
        lambda: SetBool.Request(data=True),
        lambda: Trigger.Request(),
    ],
)
def test_messages_survive_the_wire(make) -> None:
    message = make()
    assert codec.deserialize(bytes(codec.serialize(message)), type(message)) == message
    assert copy.deepcopy(message) == message


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("header", None, "'header' field must be a sub message of type 'Header'"),
        ("height", -1, "'height' field must be an unsigned integer in"),
        ("height", 2**32, "'height' field must be an unsigned integer in"),
        ("height", 1.0, "'height' field must be of type 'int'"),
        ("encoding", b"rgb8", "'encoding' field must be of type 'str'"),
        ("data", "abc", "'data' field must be a set or sequence"),
        ("data", np.zeros(3), "'data' field must be a numpy array of dtype 'uint8'"),
        ("data", array.array("f", [1.0]), "'data' array.array() must have the type code of 'B'"),
    ],
)
def test_a_wrong_value_is_refused_with_the_field_named(field, value, words) -> None:
    with pytest.raises(AssertionError, match=words.replace("(", r"\(").replace(")", r"\)")):
        setattr(Image(), field, value)


def test_an_integer_is_no_float() -> None:
    with pytest.raises(AssertionError, match="'w' field must be of type 'float'"):
        Quaternion(w=1)


def test_fixed_arrays_have_their_length() -> None:
    with pytest.raises(AssertionError, match="size of 36"):
        PoseWithCovariance(covariance=np.zeros(35))
    with pytest.raises(AssertionError, match="length 36"):
        PoseWithCovariance(covariance=[0.0])


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(AssertionError, match="colour"):
        Image(colour="red")
    with pytest.raises(AttributeError):
        Image().colour = "red"
    with pytest.raises(TypeError):
        String("positional")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, list, lambda p: np.array([*p])])
def test_image_data_can_be_given_in_many_forms(kind) -> None:
    pixels = bytes(range(12))
    value = kind(pixels)
    if isinstance(value, np.ndarray):
        value = value.astype(np.uint8).reshape(2, 6)
    image = Image(data=value)
    assert image.data == array.array("B", pixels)
    received = codec.deserialize(bytes(codec.serialize(image)), Image)
    view = np.frombuffer(received.data, np.uint8)
    assert view.tolist() == list(pixels) and view.flags.writeable


def test_field_types_read_as_in_ros_2() -> None:
    assert Image.get_fields_and_field_types()["data"] == "sequence<uint8>"
    assert Image.get_fields_and_field_types()["header"] == "std_msgs/Header"
    assert PoseWithCovariance.get_fields_and_field_types()["covariance"] == "double[36]"
    assert repr(Header(frame_id="a")) == (
        "std_msgs.msg.Header(stamp=builtin_interfaces.msg.Time(sec=0, nanosec=0), frame_id='a')"
    )


def test_a_service_is_no_instance() -> None:
    with pytest.raises(NotImplementedError):
        SetBool()


def test_damaged_cdr_is_refused() -> None:
    whole = serialize_message(String(data="hello"))
    for data in (b"", whole[:6], whole[:-2], b"\1\2\3\4" + whole[4:]):
        with pytest.raises(Exception, match=r"CDR|length|buffer"):
            deserialize_message(data, String)


def test_a_missing_interface_says_so() -> None:
    with pytest.raises(ImportError, match="Strong"):
        from std_msgs.msg import Strong  # noqa: F401
    with pytest.raises(InterfaceError, match="cannot be parsed"):
        definitions.parse("float32 1x", "a_msgs/msg/Bad")


def test_defaults_and_constants_of_text_definitions_are_read() -> None:
    found = definitions.parse('float64 x 1.5\nstring s "hi"\nuint8 RED=3\nint8[2] a\n', "a/msg/B")
    assert found.defaults == {"x": 1.5, "s": "hi"}
    assert found.constants == {"RED": 3}


def test_the_interfaces_of_ace_ros_are_found() -> None:
    from ace_ros.msg import MappingStatus
    from ace_ros.srv import Train

    status = MappingStatus(message="ready")
    assert codec.deserialize(bytes(codec.serialize(status)), MappingStatus) == status
    assert Train.Request.get_fields_and_field_types()["map_name"] == "string"


def test_the_interfaces_are_refused_beside_another_rclpy(monkeypatch: pytest.MonkeyPatch) -> None:
    from embedded_ros import interfaces

    elsewhere = SimpleNamespace(origin="/opt/ros/jazzy/lib/python3/site-packages/rclpy/__init__.py")
    monkeypatch.setattr(interfaces.importlib.util, "find_spec", lambda _: elsewhere)
    with pytest.raises(ImportError, match="a ROS 2 is sourced that lacks std_msgs"):
        interfaces.module("std_msgs.msg")
