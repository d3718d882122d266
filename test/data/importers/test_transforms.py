# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from small_scenes import pose

from ace_ros.data.importers.transforms import NoTransform, TransformTree

S = 1_000_000_000
NO_TURN = (0.0, 0.0, 0.0, 1.0)


def about_z(angle: float) -> tuple[float, float, float, float]:
    return 0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2)


def quaternion(R: np.ndarray) -> np.ndarray:
    rotation = cv2.Rodrigues(R)[0][:, 0]
    angle = np.linalg.norm(rotation)
    return np.array([*(rotation / angle * math.sin(angle / 2)), math.cos(angle / 2)])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9999, 1.0])
def test_turns_are_interpolated_on_the_arc_and_places_on_the_line(share: float) -> None:
    tree = TransformTree()
    tree.add("odom", "base", 5 * S, (1.0, 0.0, 0.0), about_z(0.2))
    # The same rotation with the other sign must not send the camera the long way round.
    tree.add("odom", "base", 6 * S, (3.0, 1.0, 0.0), tuple(-c for c in about_z(1.4)))
    T = tree.lookup("odom", "base", 5 * S + int(share * S))
    np.testing.assert_allclose(T[:3, 3], [1 + 2 * share, share, 0], atol=1e-8)
    assert math.atan2(T[1, 0], T[0, 0]) == pytest.approx(0.2 + 1.2 * share, abs=1e-8)


def test_a_tiny_turn_is_interpolated_too() -> None:
    tree = TransformTree()
    tree.add("odom", "base", 0, (0, 0, 0), about_z(0.0))
    tree.add("odom", "base", S, (0, 0, 0), about_z(1e-7))
    T = tree.lookup("odom", "base", S // 4)
    assert T[1, 0] == pytest.approx(2.5e-8, rel=1e-6)


def test_chains_go_up_and_down() -> None:
    T_odom_base, T_odom_lidar, T_base_camera = pose(2), pose(5), pose(7)
    tree = TransformTree()
    tree.add("odom", "base", S, T_odom_base[:3, 3], quaternion(T_odom_base[:3, :3]))
    tree.add("odom", "lidar", S, T_odom_lidar[:3, 3], quaternion(T_odom_lidar[:3, :3]))
    tree.add("base", "camera", None, T_base_camera[:3, 3], 3 * quaternion(T_base_camera[:3, :3]))
    np.testing.assert_allclose(tree.lookup("odom", "camera", S), T_odom_base @ T_base_camera)
    expected = np.linalg.inv(T_odom_base @ T_base_camera) @ T_odom_lidar
    np.testing.assert_allclose(tree.lookup("camera", "lidar", S), expected, atol=1e-12)
    np.testing.assert_allclose(tree.lookup("base", "base", 99 * S), np.eye(4))


@pytest.mark.parametrize(
    "target, source, stamp, words",
    [
        ("odom", "base", 1 * S - 10_000, "odom -> base: begins 1e-05 s after the image"),
        ("odom", "base", 4 * S, "odom -> base: ends 0.5 s before the image"),
        ("odom", "base", 2 * S, "odom -> base: has a gap of 2.5 s at the image"),
        (
            "odom",
            "wheel",
            1 * S,
            "no transform of frame 'wheel'; there are base, camera, gps, odom",
        ),
        ("odom", "gps", 1 * S, "frames 'odom' and 'gps' are not connected"),
    ],
)
def test_what_cannot_be_looked_up_says_why(target: str, source: str, stamp: int, words: str) -> None:
    tree = TransformTree()
    for when in (1 * S, 7 * S // 2):
        tree.add("odom", "base", when, (0, 0, 0), NO_TURN)
    tree.add("gps", "camera", None, (0, 0, 0), NO_TURN)
    with pytest.raises(NoTransform) as caught:
        tree.lookup(target, source, stamp)
    assert words in str(caught.value)


def test_transforms_without_a_meaning_are_left_out() -> None:
    tree = TransformTree()
    tree.add("odom", "base", 0, (math.nan, 0, 0), NO_TURN)
    tree.add("odom", "base", 0, (0, 0, 0), (0, 0, 0, 0))
    tree.add("base", "base", 0, (0, 0, 0), NO_TURN)
    assert tree.frames == []


def test_transforms_may_arrive_out_of_order_and_twice() -> None:
    tree = TransformTree()
    for when, x in ((2 * S, 2.0), (1 * S, 9.0), (1 * S, 1.0)):
        tree.add("odom", "base", when, (x, 0, 0), NO_TURN)
    assert tree.lookup("odom", "base", 3 * S // 2)[0, 3] == pytest.approx(1.5)
    tree.add("odom", "base", 3 * S, (5, 0, 0), NO_TURN)
    assert tree.lookup("odom", "base", 5 * S // 2)[0, 3] == pytest.approx(3.5)
