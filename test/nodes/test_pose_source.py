# SPDX-License-Identifier: Apache-2.0
"""Odometry from a topic, at the stamp of an image."""

from __future__ import annotations

import math
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from ace_ros.geometry.se3 import from_rotation_translation, so3_exp
from ace_ros.nodes.conversions import fill_pose, fill_stamp
from ace_ros.nodes.options import MapperConfig
from ace_ros.nodes.pose_source import NoPose, OdometryBuffer, wait_for_pose

S = 1_000_000_000


def pose(x: float, yaw: float = 0.0) -> torch.Tensor:
    R = so3_exp(torch.tensor([0.0, 0.0, yaw], dtype=torch.float64))
    return from_rotation_translation(R, torch.tensor([x, 0.0, 0.0], dtype=torch.float64))


def odometry(
    stamp: int, x: float, yaw: float = 0.0, frame: str = "odom", child: str = "base_link"
) -> SimpleNamespace:
    def vector() -> SimpleNamespace:
        return SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0)

    inner = fill_pose(SimpleNamespace(position=vector(), orientation=vector()), pose(x, yaw))
    header = SimpleNamespace(stamp=fill_stamp(SimpleNamespace(), stamp), frame_id=frame)
    return SimpleNamespace(header=header, child_frame_id=child, pose=SimpleNamespace(pose=inner))


@pytest.fixture
def jumps() -> list[str]:
    return []


@pytest.fixture
def buffer(jumps: list[str]) -> OdometryBuffer:
    return OdometryBuffer("odom", "base_link", 1.0, jumps.append)


def reason(buffer: OdometryBuffer, stamp: int) -> tuple[str, bool]:
    with pytest.raises(NoPose) as caught:
        buffer.look_up(stamp)
    return str(caught.value), caught.value.later


def test_poses_are_interpolated_at_the_stamp(buffer: OdometryBuffer) -> None:
    buffer.add(odometry(10 * S, 1.0, 0.0))
    buffer.add(odometry(10 * S + S // 2, 2.0, 1.0))
    torch.testing.assert_close(buffer.look_up(10 * S + S // 8), pose(1.25, 0.25))
    torch.testing.assert_close(buffer.look_up(10 * S), pose(1.0))


def test_an_image_newer_than_odometry_is_waited_for(buffer: OdometryBuffer) -> None:
    assert reason(buffer, 5 * S) == ("no odometry has arrived on the topic odom", True)
    buffer.add(odometry(10 * S, 1.0))
    assert reason(buffer, 11 * S + S // 5) == ("odometry stopped 1.20 s before the image", True)
    late = threading.Timer(0.1, lambda: buffer.add(odometry(10 * S + S // 2, 2.0)))
    late.start()
    found = wait_for_pose(lambda: buffer.look_up(10 * S + S // 4), buffer.changed, time.monotonic() + 5.0)
    torch.testing.assert_close(found, pose(1.5))


def test_waiting_ends_at_the_deadline(buffer: OdometryBuffer) -> None:
    begun = time.monotonic()
    with pytest.raises(NoPose, match="no odometry has arrived"):
        wait_for_pose(lambda: buffer.look_up(S), buffer.changed, begun + 0.2)
    assert 0.2 <= time.monotonic() - begun < 2.0


def test_odometry_that_begins_after_the_image_or_has_a_gap_gives_no_pose(buffer: OdometryBuffer) -> None:
    buffer.add(odometry(10 * S, 1.0))
    buffer.add(odometry(13 * S, 2.0))
    assert reason(buffer, 9 * S) == ("odometry begins 1.00 s after the image", False)
    assert reason(buffer, 11 * S) == ("odometry has a gap of 3.00 s around the image", False)


def test_a_jump_back_in_time_is_told_and_old_poses_are_forgotten(
    buffer: OdometryBuffer, jumps: list[str]
) -> None:
    buffer.add(odometry(10 * S, 1.0))
    buffer.add(odometry(10 * S - S // 10, 0.9))
    assert jumps == [] and float(buffer.look_up(10 * S)[0, 3]) == 1.0
    buffer.add(odometry(7 * S, 5.0))
    assert jumps == [] and reason(buffer, 10 * S) == ("odometry time may have jumped back", True)
    buffer.add(odometry(7 * S + S // 10, 5.1))
    assert jumps == ["odometry time jumped back by 2.90 s"]
    assert reason(buffer, 10 * S)[1] is True


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (odometry(11 * S, 1.0, frame="map"), "arrives in frame 'map', expected 'odom'"),
        (odometry(11 * S, 1.0, child="laser"), "is of frame 'laser', expected 'base_link'"),
    ],
)
def test_odometry_of_another_frame_is_refused(
    buffer: OdometryBuffer, message: SimpleNamespace, sentence: str
) -> None:
    buffer.add(odometry(10 * S, 1.0))
    buffer.add(message)
    assert sentence in reason(buffer, 10 * S)[0]
    buffer.add(odometry(12 * S, 3.0))
    assert float(buffer.look_up(12 * S)[0, 3]) == 3.0


def changed(message: SimpleNamespace, **numbers: float) -> SimpleNamespace:
    for name, number in numbers.items():
        part, axis = name.split("_")
        setattr(getattr(message.pose.pose, part), axis, number)
    return message


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (odometry(11 * S, math.nan), "has numbers that are not finite"),
        (changed(odometry(11 * S, 1.0), orientation_w=math.inf), "has numbers that are not finite"),
        (changed(odometry(11 * S, 1.0), position_y=-1e300), "has the position (1, -1e+300, 0) m"),
        (changed(odometry(11 * S, 1.0), orientation_w=0.0), "has a quaternion of length 0, expected 1"),
        (changed(odometry(11 * S, 1.0), orientation_w=0.5), "has a quaternion of length 0.5, expected 1"),
        (changed(odometry(11 * S, 1.0), orientation_x=1e200), "has a quaternion of length 1e+200"),
        (odometry(0, 1.0), "has no time stamp"),
        (odometry(-(9 * S), 1.0), "has no time stamp"),
        (odometry(2**31 * S, 1.0), "is stamped 2147483638.0 s after the one before"),
        (odometry(1 * S, 1.0), "may have jumped back"),
    ],
)
def test_a_message_that_is_no_pose_is_left_out_and_told(
    buffer: OdometryBuffer, jumps: list[str], message: SimpleNamespace, sentence: str
) -> None:
    buffer.add(odometry(10 * S, 1.0))
    buffer.add(message)
    assert sentence in reason(buffer, 11 * S)[0] and reason(buffer, 11 * S)[1]
    buffer.add(odometry(10 * S + S // 2, 2.0))
    assert float(buffer.look_up(10 * S + S // 4)[0, 3]) == pytest.approx(1.5) and jumps == []


def test_odometry_that_goes_on_much_later_is_believed_with_the_second_message(
    buffer: OdometryBuffer, jumps: list[str]
) -> None:
    for i in range(3):
        buffer.add(odometry(10 * S + i * S // 10, 0.0))
    for i in range(3):
        buffer.add(odometry(99 * S + i * S // 10, float(i)))
    assert float(buffer.look_up(99 * S + S // 10)[0, 3]) == 1.0 and jumps == []


def test_leading_slashes_of_frames_mean_nothing(jumps: list[str]) -> None:
    buffer = OdometryBuffer("odom", "base_link", 1.0, jumps.append)
    buffer.add(odometry(10 * S, 1.0, frame="/odom", child="//base_link"))
    torch.testing.assert_close(buffer.look_up(10 * S), pose(1.0))
    assert MapperConfig(odom_frame="/odom", base_frame="/base_link").odom_frame == "odom"
