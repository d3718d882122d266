# SPDX-License-Identifier: Apache-2.0
"""When a pose is believed, and for how long."""

from __future__ import annotations

import math

import torch

from ace_ros.config import override
from ace_ros.geometry.se3 import from_rotation_translation
from ace_ros.nodes.options import LocalizerConfig
from ace_ros.nodes.pose_gate import PoseGate
from ace_ros.nodes.tracker import Tracker, Verdict

CONFIG = LocalizerConfig()


def at(x: float) -> torch.Tensor:
    return from_rotation_translation(
        torch.eye(3, dtype=torch.float64), torch.tensor([x, 0.0, 0.0], dtype=torch.float64)
    )


def test_the_first_pose_is_accepted_and_one_near_it_follows() -> None:
    gate = PoseGate()
    assert gate.offer(at(0.0), 0.0, CONFIG) and gate.offer(at(0.5), 1.0, CONFIG)
    assert gate.accepted is not None and float(gate.accepted[0, 3]) == 0.5


def test_a_single_far_pose_moves_nothing_and_a_second_that_agrees_does() -> None:
    gate = PoseGate()
    gate.offer(at(0.0), 0.0, CONFIG)
    assert not gate.offer(at(7.0), 1.0, CONFIG)
    assert float(gate.accepted[0, 3]) == 0.0
    assert gate.offer(at(7.2), 2.0, CONFIG)
    assert float(gate.accepted[0, 3]) == 7.2


def test_a_pose_in_another_map_frame_needs_a_second_that_agrees() -> None:
    gate = PoseGate()
    assert gate.offer(at(0.0), 0.0, CONFIG, "floor_1")
    assert not gate.offer(at(0.0), 1.0, CONFIG, "floor_2")
    assert gate.offer(at(0.1), 2.0, CONFIG, "floor_1") and gate.frame == "floor_1"
    assert not gate.offer(at(0.0), 3.0, CONFIG, "floor_2")
    assert not gate.offer(at(0.0), 4.0, CONFIG, "floor_3")
    assert not gate.offer(at(0.0), 5.0, CONFIG, "floor_2")
    assert gate.offer(at(0.2), 6.0, CONFIG, "floor_2") and gate.frame == "floor_2"


def test_far_poses_that_disagree_with_each_other_move_nothing() -> None:
    gate = PoseGate()
    gate.offer(at(0.0), 0.0, CONFIG)
    assert not any(gate.offer(at(x), 1.0, CONFIG) for x in (7.0, -9.0, 20.0, 4.0))


def test_a_failed_image_between_two_far_poses_asks_for_another() -> None:
    gate = PoseGate()
    gate.offer(at(0.0), 0.0, CONFIG)
    gate.offer(at(7.0), 1.0, CONFIG)
    gate.fail()
    assert not gate.offer(at(7.0), 2.0, CONFIG)


def test_the_first_pose_can_be_made_to_need_a_second() -> None:
    gate, config = PoseGate(), override(CONFIG, {"confirm_first": True})
    assert not gate.offer(at(3.0), 0.0, config)
    assert gate.offer(at(3.1), 0.1, config)


def test_the_pose_is_lost_after_time_or_after_images() -> None:
    gate = PoseGate()
    gate.offer(at(0.0), 100.0, CONFIG)
    assert gate.loss(100.0 + CONFIG.lost_after_s - 0.1, CONFIG) == ""
    assert "no pose was accepted for 10.1 s" in gate.loss(110.1, CONFIG)
    for _ in range(CONFIG.lost_after_images):
        assert gate.loss(100.0, CONFIG) == ""
        gate.fail()
    assert "50 images" in gate.loss(100.0, CONFIG)


def test_an_image_from_before_a_change_cannot_bring_the_old_pose_back() -> None:
    tracker = Tracker()
    epoch = tracker.begin()
    tracker.forget()
    assert tracker.accept(at(0.0), epoch, 5, CONFIG) is Verdict.OUTDATED
    assert tracker.T_map_odom is None and math.isnan(tracker.since_pose_s(10**9))
    assert tracker.accept(at(0.0), tracker.begin(), 10**9, CONFIG) is Verdict.ACCEPTED
    assert (tracker.tried, tracker.localized, tracker.since_pose_s(3 * 10**9)) == (2, 1, 2.0)
