# SPDX-License-Identifier: Apache-2.0
"""tf2_ros: looking up transforms, against matrices multiplied by hand, and /tf between processes.

What raises what, and with which words, follows geometry2's tf2/src/buffer_core.cpp and cache.cpp and
the cases of tf2_ros_py/test and tf2/test/simple_tf2_core.cpp.
"""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.time import Time
from tf2_ros import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    StaticTransformBroadcaster,
    TransformBroadcaster,
    TransformListener,
)
from tf2_ros.static_transform_publisher import parse


def transform(parent, child, x=0.0, yaw=0.0, at=0.0, y=0.0) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp = Time(seconds=at).to_msg()
    message.transform.translation.x = float(x)
    message.transform.translation.y = float(y)
    message.transform.rotation.z = math.sin(yaw / 2)
    message.transform.rotation.w = math.cos(yaw / 2)
    return message


def matrix(message: TransformStamped) -> np.ndarray:
    """Return the 4x4 matrix of a transform about z."""
    r, t = message.transform.rotation, message.transform.translation
    yaw = 2 * math.atan2(r.z, r.w)
    result = np.eye(4)
    result[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    result[:3, 3] = t.x, t.y, t.z
    return result


@pytest.fixture
def buffer() -> Buffer:
    made = Buffer()
    made.set_transform(transform("odom", "base", 0.0, 0.0, 10.0), "test")
    made.set_transform(transform("odom", "base", 2.0, math.pi / 2, 12.0), "test")
    made.set_transform_static(transform("base", "camera", 0.5, 0.3), "test")
    made.set_transform(transform("map", "odom", 5.0, -0.4, 11.5, y=1.0), "test")
    made.set_transform(transform("map", "odom", 5.0, -0.4, 9.0, y=1.0), "test")
    return made


def test_between_two_stamps_is_interpolated(buffer: Buffer) -> None:
    found = buffer.lookup_transform("odom", "base", Time(seconds=11))
    expected = matrix(transform("odom", "base", 1.0, math.pi / 4))
    assert np.allclose(matrix(found), expected)
    assert found.header.stamp == Time(seconds=11).to_msg()
    assert (found.header.frame_id, found.child_frame_id) == ("odom", "base")


def test_a_chain_is_multiplied_in_both_directions(buffer: Buffer) -> None:
    at = Time(seconds=10)
    expected = (
        matrix(transform("map", "odom", 5.0, -0.4, y=1.0))
        @ matrix(transform("odom", "base"))
        @ matrix(transform("base", "camera", 0.5, 0.3))
    )
    forth = matrix(buffer.lookup_transform("map", "camera", at))
    back = matrix(buffer.lookup_transform("camera", "map", at))
    assert np.allclose(forth, expected)
    assert np.allclose(forth @ back, np.eye(4))


def test_siblings_meet_in_their_parent_at_any_time(buffer: Buffer) -> None:
    buffer.set_transform_static(transform("base", "lidar", -1.0), "test")
    found = matrix(buffer.lookup_transform("lidar", "camera", Time(seconds=9999)))
    assert np.allclose(found, matrix(transform("", "", 1.5, 0.3)))


def test_time_zero_is_the_latest_common_time(buffer: Buffer) -> None:
    found = buffer.lookup_transform("map", "camera", Time())
    assert found.header.stamp == Time(seconds=11.5).to_msg()
    assert buffer.lookup_transform("base", "base", Time()).transform.rotation.w == 1.0


@pytest.mark.parametrize(
    ("target", "source", "seconds", "error", "words"),
    [
        ("odom", "camera", 12.1, ExtrapolationException, "into the future"),
        ("odom", "camera", 9.9, ExtrapolationException, "into the past"),
        ("odom", "nowhere", 11, LookupException, '"nowhere" passed to .* does not exist'),
        ("island", "camera", 11, ConnectivityException, "not part of the same tree"),
        ("island", "camera", 0, ConnectivityException, "not part of the same tree"),
        ("", "camera", 11, InvalidArgumentException, "cannot be empty"),
        ("/odom", "camera", 11, InvalidArgumentException, "cannot start with a '/'"),
    ],
)
def test_what_is_not_known_raises(buffer, target, source, seconds, error, words) -> None:
    buffer.set_transform(transform("island", "palm", at=11.0), "test")
    with pytest.raises(error, match=words):
        buffer.lookup_transform(target, source, Time(seconds=seconds))
    assert not buffer.can_transform(target, source, Time(seconds=seconds))


def test_what_is_older_than_the_cache_is_forgotten(buffer: Buffer) -> None:
    for seconds in (21.0, 22.0):
        buffer.set_transform(transform("odom", "base", at=seconds), "test")
    assert buffer.can_transform("odom", "base", Time(seconds=12))
    with pytest.raises(ExtrapolationException, match="earliest data is at time 12"):
        buffer.lookup_transform("odom", "base", Time(seconds=11))


def test_useless_transforms_are_left_out(buffer: Buffer) -> None:
    bad = transform("odom", "bad", at=1.0)
    bad.transform.rotation.w = 0.0
    for message in (bad, transform("a", "a"), transform("", "b"), transform("c", "d", math.nan)):
        buffer.set_transform(message, "test")
    for parent, child in (("odom", "bad"), ("a", "a"), ("odom", "b"), ("c", "d")):
        assert not buffer.can_transform(parent, child, Time())


def test_rotation_takes_the_shorter_way() -> None:
    buffer = Buffer()
    buffer.set_transform(transform("a", "b", yaw=math.radians(170), at=1.0), "test")
    buffer.set_transform(transform("a", "b", yaw=math.radians(-170), at=2.0), "test")
    found = matrix(buffer.lookup_transform("a", "b", Time(seconds=1.5)))
    assert np.allclose(found[:2, :2], [[-1, 0], [0, -1]])


def test_waiting_ends_when_the_transform_comes(buffer: Buffer) -> None:
    late = transform("odom", "base", 3.0, at=13.0)
    threading.Timer(0.1, buffer.set_transform, [late, "test"]).start()
    found = buffer.lookup_transform("odom", "base", Time(seconds=13), Duration(seconds=5))
    assert found.transform.translation.x == 3.0
    with pytest.raises(ExtrapolationException):
        buffer.lookup_transform("odom", "base", Time(seconds=14), Duration(seconds=0.05))


def test_clearing_leaves_static_transforms(buffer: Buffer) -> None:
    buffer.clear()
    assert buffer.can_transform("base", "camera", Time())
    with pytest.raises(ConnectivityException):
        buffer.lookup_transform("odom", "camera", Time())


def test_a_loop_is_no_tree() -> None:
    buffer = Buffer()
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a")):
        buffer.set_transform(transform(parent, child, at=1.0), "test")
    buffer.set_transform(transform("island", "palm", at=1.0), "test")
    with pytest.raises(LookupException, match="contains a loop"):
        buffer.lookup_transform("island", "a", Time(seconds=1))


def test_the_stamp_of_a_message_is_a_time(buffer: Buffer) -> None:
    stamp = Time(seconds=11).to_msg()
    assert buffer.lookup_transform("odom", "base", stamp).header.stamp == stamp
    assert buffer.can_transform("odom", "base", stamp)


@pytest.fixture
def context():
    made = Context()
    rclpy.init(context=made)
    yield made
    made.try_shutdown()


def test_broadcasters_reach_a_late_listener(context) -> None:
    sender = rclpy.create_node("sender", context=context)
    static = StaticTransformBroadcaster(sender)
    static.sendTransform(transform("base", "camera", 0.5))
    static.sendTransform([transform("base", "lidar", -0.5)])
    second = StaticTransformBroadcaster(rclpy.create_node("second", context=context))
    second.sendTransform(transform("base", "imu", 0.1))
    buffer = Buffer()
    listener = TransformListener(buffer, rclpy.create_node("listener", context=context), spin_thread=True)
    for child in ("camera", "lidar", "imu"):
        assert buffer.can_transform("base", child, Time(), Duration(seconds=10)), child
    moving = TransformBroadcaster(sender)
    assert (moving.pub_tf.topic_name, static.pub_tf.topic_name) == ("/tf", "/tf_static")
    stop = threading.Event()

    def send() -> None:
        while not stop.wait(0.05):  # again: the first may be sent before the listener is found
            moving.sendTransform([transform("odom", "base", 1.0, at=5.0)])

    thread = threading.Thread(target=send)
    thread.start()
    try:
        assert buffer.can_transform("odom", "camera", Time(), Duration(seconds=10))
    finally:
        stop.set()
        thread.join()
    listener.unregister()


def test_the_publisher_is_a_program(context) -> None:
    program = Path(__file__).parents[1] / "scripts" / "static_transform_publisher"
    buffer = Buffer()
    listener = TransformListener(buffer, rclpy.create_node("listener", context=context), spin_thread=True)
    arguments = ["--x", "1", "--yaw", "0.5", "--frame-id", "base", "--child-frame-id", "imu"]
    process = subprocess.Popen([sys.executable, program, *arguments])
    try:
        found = buffer.lookup_transform("base", "imu", Time(), Duration(seconds=20))
        assert np.allclose(matrix(found), matrix(transform("base", "imu", 1.0, 0.5)))
    finally:
        process.send_signal(subprocess.signal.SIGINT)
        assert process.wait(timeout=10) == 0
    listener.unregister()


def test_the_publisher_reads_its_command_line() -> None:
    angles = parse(["--x", "1", "--yaw", "1.5707963267948966", "--frame-id", "a", "--child-frame-id", "b"])
    numbers = "--x 1 --qz 0.7071067811865476 --qw 0.7071067811865476 --frame-id a --child-frame-id b"
    assert np.allclose(matrix(angles), matrix(transform("a", "b", 1.0, math.pi / 2)))
    assert np.allclose(matrix(parse(numbers.split())), matrix(angles))
    assert (angles.header.frame_id, angles.child_frame_id) == ("a", "b")
    with pytest.raises(SystemExit):
        parse(["--qw", "1", "--yaw", "1", "--frame-id", "a", "--child-frame-id", "b"])
