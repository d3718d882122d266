# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ace_ros.data.point_cloud import MAX_POINTS, depth_of_points, points_of_message
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera

POINTS = np.random.default_rng(0).uniform(-5.0, 5.0, (24, 3))
CAMERA = Camera(torch.tensor([[100.0, 0, 79.5], [0, 110.0, 59.5], [0, 0, 1]]), (160, 120))


def message(number: str = "f4", big: bool = False, height: int = 1, padding: int = 0, **changes: Any) -> Any:
    """Return POINTS as a PointCloud2 by its attributes: other fields before and between, rows padded."""
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
        SimpleNamespace(name=n, offset=o, datatype=2 if n == "intensity" else codes[number], count=1)
        for n, o in offsets.items()
    ]
    about = {
        "width": len(POINTS) // height,
        "height": height,
        "fields": fields,
        "is_bigendian": big,
        "point_step": kind.itemsize,
        "row_step": rows.shape[1],
        "data": rows.tobytes(),
    }
    return SimpleNamespace(**{**about, **changes})


@pytest.mark.parametrize("number", ["f4", "f8", "i2"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("height", "padding"), [(1, 0), (4, 0), (4, 9)])
def test_points_of_any_layout_are_read(number: str, big: bool, height: int, padding: int) -> None:
    found = points_of_message(message(number, big, height, padding))
    np.testing.assert_array_equal(found, POINTS.astype(number).astype(np.float64))


def test_points_that_are_not_finite_are_left_out() -> None:
    cloud = message("f8")
    data = bytearray(cloud.data)
    step = cloud.point_step
    data[5 * step + 3 : 5 * step + 11] = np.float64("nan").tobytes()
    data[7 * step + 3 : 7 * step + 11] = np.float64("inf").tobytes()
    cloud.data = bytes(data)
    np.testing.assert_array_equal(points_of_message(cloud), np.delete(POINTS, [5, 7], 0))
    assert points_of_message(message(width=0)).shape == (0, 3)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"width": MAX_POINTS + 1}, "no usable size"),
        ({"width": 1000}, "expected at least"),
        ({"row_step": 3}, "row_step 3"),
        ({"data": b"few"}, "and 3 bytes, expected"),
        ({"fields": []}, "has the fields none; expected x, y and z"),
        ({"point_step": 4}, "x of data type 7 at byte 3 of points of 4 bytes"),
        ({"point_step": 0}, "of points of 0 bytes"),
    ],
)
def test_clouds_that_cannot_be_read_are_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(CameraError, match=sentence):
        points_of_message(message(**changes))


def test_points_fall_into_the_pixels_that_see_them() -> None:
    T = np.eye(4)
    T[:3, 3] = 0.0, 0.0, 1.0
    at = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 3.0], [1.0, 0.5, 3.0], [-0.1, 0.0, -2.0], [9.0, 0.0, 1.0]])
    depth_mm = depth_of_points(at, T, CAMERA)
    assert depth_mm.shape == (120, 160)
    assert {(int(y), int(x)): int(depth_mm[y, x]) for y, x in np.argwhere(depth_mm)} == {
        (60, 80): 2000,  # the nearer of two; half a pixel rounds to the even one
        (73, 104): 4000,
    }
    assert not depth_of_points(np.zeros((0, 3)), T, CAMERA).any()
    assert not depth_of_points(np.array([[0.0, 0.0, 70.0]]), T, CAMERA).any()  # more than 16 bits hold


def test_points_outside_do_not_come_back_by_the_distortion() -> None:
    """With a barrel distortion the polynomial turns back at some angle, and then leads into the image."""
    distorted = Camera(CAMERA.matrix, CAMERA.size, "plumb_bob", torch.tensor([-0.3, 0.0, 0.0, 0.0]))
    angles = np.radians(np.linspace(-75.0, 75.0, 301))
    points = 3.0 * np.stack([np.tan(angles), 0 * angles, 1 + 0 * angles], -1)
    behind = distorted.project(torch.from_numpy(points))[:, 0]
    assert bool(((behind > 0) & (behind < 159) & (torch.from_numpy(angles).abs() > 1.1)).any())
    found = set(np.flatnonzero(depth_of_points(points, np.eye(4), distorted)[60]).tolist())
    columns = distorted.project(torch.from_numpy(points))[:, 0].round().long().tolist()
    surely, at_most = (
        {c for c, angle in zip(columns, angles, strict=True) if abs(angle) < limit} for limit in (0.75, 0.82)
    )
    assert surely <= found <= at_most
    assert max(found) > 145 and min(found) < 15
