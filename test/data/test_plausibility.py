# SPDX-License-Identifier: Apache-2.0
"""What a drive in other units looks like, and that a usual one is not doubted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ace_ros.data.depth_image import depth_of_message
from ace_ros.data.plausibility import depth_doubt, drive_doubts, focal_doubt
from ace_ros.data.scene import Frame
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera


def camera(focal: float = 500.0) -> Camera:
    K = torch.tensor([[focal, 0, 319.5], [0, focal, 239.5], [0, 0, 1]], dtype=torch.float64)
    return Camera(K, (640, 480))


def drive(
    step: float, origin: tuple[float, float, float] = (0, 0, 0), rate_hz: float = 0.0, focal: float = 500.0
):
    """Return frames of a drive along x, `step` from image to image; without stamps where the rate is 0."""
    frames = []
    for i in range(20):
        T = torch.eye(4, dtype=torch.float64)
        T[:3, 3] = torch.tensor(origin) + torch.tensor([i * step, 0.0, 0.0])
        stamp = int(i / rate_hz * 1e9) if rate_hz else None
        frames.append(Frame(Path(), T, camera(focal), stamp))
    return frames


@pytest.mark.parametrize(
    "frames",
    [
        drive(0.15),
        drive(0.15, rate_hz=3),
        drive(0.001, rate_hz=100),
        drive(8.0, rate_hz=4),  # a car at 32 m/s
        drive(40.0, rate_hz=1),
        drive(5.0, (2000.0, -900.0, 40.0)),
        drive(0.0),
        drive(0.15, focal=200.0),
        [],
    ],
)
def test_a_usual_drive_is_not_doubted(frames: list[Frame]) -> None:
    assert drive_doubts(frames) == []


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (drive(150.0), "moves 150 m from image to image in the median; is it in millimetres"),
        (drive(33.0, rate_hz=30), "moves at 990 m/s in the median"),
        (drive(0.2, (691_600.0, 5_334_700.0, 500.0)), "are at about (691602, 5334700, 500) m, as in UTM"),
        (
            drive(0.2, focal=4.0),
            "focal length of 4 pixels is an angle of view of 179 degrees in an image 640",
        ),
        (drive(0.2, focal=1e6), "angle of view of 0.0367 degrees"),
    ],
)
def test_another_unit_or_grid_is_said_in_one_sentence(frames: list[Frame], words: str) -> None:
    (doubt,) = drive_doubts(frames)
    assert words in doubt and "\n" not in doubt


def test_angles_of_view_of_real_lenses_are_not_doubted() -> None:
    assert not focal_doubt(camera(28.0)) and not focal_doubt(camera(36_000.0))


def test_depth_in_another_unit_is_doubted() -> None:
    assert not depth_doubt(np.full((4, 4), 1500, np.uint16)) and not depth_doubt(np.zeros((4, 4), np.uint16))
    assert "median depth is 0.002 m" in depth_doubt(np.full((4, 4), 2, np.uint16))


def test_metres_that_are_millimetres_are_refused() -> None:
    class Message:
        encoding, height, width, step, is_bigendian = "32FC1", 2, 2, 8, 0
        data = np.full(4, 1500.0, "<f4").tobytes()

    with pytest.raises(
        CameraError, match="median depth is 1500 m; 32FC1 is in metres, are these millimetres"
    ):
        depth_of_message(Message)
