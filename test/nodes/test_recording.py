# SPDX-License-Identifier: Apache-2.0
"""A recording whose odometry, depth or disk does what nobody expected."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("rclpy")

from graph import T_BASE_CAMERA, base_at, texture, wait_for
from graph import test_camera as robot_camera
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from torch import Tensor

from ace_ros.nodes import recording
from ace_ros.nodes.camera_source import CameraSource
from ace_ros.nodes.conversions import fill_camera_info, fill_stamp
from ace_ros.nodes.images import image_message
from ace_ros.nodes.options import MapperConfig
from ace_ros.nodes.recording import Recording


def image(number: int) -> Any:
    header = Header(frame_id="camera")
    fill_stamp(header.stamp, number * 10**9)
    return image_message(texture(number), header)


class Depth:
    """A source of depth that cannot be read."""

    def depth(self, query: object) -> Any:
        raise OverflowError("depth of another kind")


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., Recording]:
    """Return a function that begins a recording: `begin(look_up, depth)`."""
    cameras = CameraSource("camera_info", rectified=False)
    cameras.take(fill_camera_info(CameraInfo(), robot_camera()))

    def started(look_up: Callable[[str, int], Tensor], depth: Any = None) -> Recording:
        return Recording(
            tmp_path / "scene", MapperConfig, cameras, look_up, threading.Condition(), lambda: None,
            lambda error, where: f"{where}: {error!r}", depth,
        )  # fmt: skip

    return started


def at(stamp: int) -> torch.Tensor:
    return base_at(stamp / 1e9) @ T_BASE_CAMERA


def test_an_error_that_nobody_expected_costs_one_image(begin: Callable[..., Recording]) -> None:
    def look_up(frame: str, stamp: int) -> Tensor:
        if stamp == 2 * 10**9:
            raise SystemExit("of a library")
        return at(stamp)

    found = begin(look_up, Depth())
    for number in (1, 2, 3):
        found.offer(image(number))
    assert found.stop()
    assert (found.frames, found.counts.dropped_image, found.counts.without_depth) == (2, 1, 2)
    assert found.last_drop == "recording an image: SystemExit('of a library')"
    assert "2 without depth: reading depth: OverflowError" in found.summary


def test_a_recording_that_does_not_end_says_so_and_ends_later(
    begin: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "STOP_TIMEOUT_S", 0.05)
    begun, may_go_on = threading.Event(), threading.Event()

    def look_up(frame: str, stamp: int) -> Tensor:
        begun.set()
        assert may_go_on.wait(30.0)
        return at(stamp)

    found = begin(look_up)
    for number in (1, 2, 3):
        found.offer(image(number))
    assert begun.wait(30.0)
    assert not found.stop() and not found.ended and found.unwritten == 2
    may_go_on.set()
    wait_for("the end", lambda: found.ended)
    assert found.stop() and found.frames == 3
