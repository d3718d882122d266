# SPDX-License-Identifier: Apache-2.0
"""What the mapper shows of a drive: all keyframes in the end, at a cost that does not outgrow the drive."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from graph import T_BASE_CAMERA, Graph, base_at, wait_for
from nav_msgs.msg import Path
from rclpy.qos import DurabilityPolicy, QoSProfile

from ace_ros.geometry.se3 import from_quaternion
from ace_ros.nodes.conversions import matrix_of_pose, stamp_ns
from ace_ros.nodes.keyframes import Trail
from ace_ros.nodes.mapping_views import MappingViews

KEYFRAMES = 400


def test_the_path_of_a_long_drive_is_shown_whole_and_at_a_cost_that_grows_as_the_drive(graph: Graph) -> None:
    views, trail = MappingViews(graph.node), Trail()
    qos = QoSProfile(depth=KEYFRAMES, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    paths = graph.collect(Path, "keyframes", qos)
    poses = [base_at(0.3 * n, yaw=0.01 * n) @ T_BASE_CAMERA for n in range(KEYFRAMES)]
    for number, T in enumerate(poses):
        trail.append(1_000 + number, T)
        views.show_keyframes(trail, "odom")
    views.show_keyframes(trail, "odom", all_of_them=True)
    whole = wait_for("all keyframes", lambda: paths and len(paths[-1].poses) == KEYFRAMES and paths[-1])
    assert whole.header.frame_id == "odom" and stamp_ns(whole.header.stamp) == 1_000 + KEYFRAMES - 1
    for pose, T in zip(whole.poses, poses, strict=True):
        assert float((matrix_of_pose(pose.pose) - T).abs().max()) < 1e-9
    assert sum(len(path.poses) for path in paths) < 20 * KEYFRAMES
    views.begin_recording()
    views.show_keyframes(Trail(), "odom", all_of_them=True)  # nothing yet: what is shown stays
    assert paths[-1] is whole


def test_a_trail_keeps_stamps_and_poses() -> None:
    trail = Trail()
    assert len(trail) == 0 and list(trail.thinned(9)) == []
    T = base_at(1.5, yaw=2.0) @ T_BASE_CAMERA
    trail.append(7, T)
    ((stamp, (x, y, z, *quaternion)),) = trail.thinned(9)
    assert (stamp, x, y, z) == (7, *T[:3, 3].tolist())
    assert float((from_quaternion(T.new_tensor(quaternion)) - T[:3, :3]).abs().max()) < 1e-12


def test_a_long_trail_is_thinned_evenly_up_to_the_newest() -> None:
    trail = Trail()
    for number in range(23):
        trail.append(number, base_at(float(number)))
    assert [stamp for stamp, _ in trail.thinned(23)] == list(range(23))
    assert [stamp for stamp, _ in trail.thinned(10)] == [1, 4, 7, 10, 13, 16, 19, 22]
    assert [pose[0] for _, pose in trail.thinned(1)] == [22.0]
