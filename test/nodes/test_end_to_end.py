# SPDX-License-Identifier: Apache-2.0
"""The whole path through the graph: a drive is recorded, a map is trained, the robot finds itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy")

from geometry_msgs.msg import PoseWithCovarianceStamped
from graph import Graph, wait_for
from journey import MAP_NAME, MOUNT, Place, check, learn
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage
from wall_scene import write_wall_scene

from ace_ros.data.scene import load_scene
from ace_ros.geometry.metrics import pose_error
from ace_ros.msg import LocalizationStatus
from ace_ros.nodes.conversions import matrix_of_pose, matrix_of_transform, stamp_ns

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "scenes"
FOX = Path(os.environ.get("ACE_ROS_SCENES", SHARED)) / "fox"
MANY = QoSProfile(depth=500)

pytestmark = pytest.mark.slow  # maps are trained


def find(graph: Graph, start_node: Any, place: Place, rate_hz: float) -> np.ndarray:
    """Play a scene's test images to a localizer; return errors (m, deg) of those that it found."""
    # Test images of photographers are no drive: each may be far from the one before.
    localizer = start_node("localizer", data_dir=place.data_dir, map=MAP_NAME, gate_distance_m=1000.0)
    statuses = graph.collect(LocalizationStatus, "/ace/localization_status")
    poses = graph.collect(PoseWithCovarianceStamped, "/ace/pose", MANY)
    transforms = graph.collect(TFMessage, "/tf", MANY)
    wait_for("the map in the localizer", lambda: statuses and statuses[-1].map_name == MAP_NAME, 60.0)
    player = start_node("player", scene=place.scene, split="test", rate_hz=rate_hz, **MOUNT)
    assert player.process.wait(300.0) == 0, player.output
    assert localizer.stop() == 0
    true = {
        stamp_ns(t.header.stamp): matrix_of_transform(t.transform)
        for message in transforms
        for t in message.transforms
        if (t.header.frame_id, t.child_frame_id) == ("odom", "base_link")
    }
    tried = len(load_scene(place.scene, "test").frames)
    assert len(poses) >= 0.7 * tried, [s.message for s in statuses]
    errors = [
        pose_error(matrix_of_pose(p.pose.pose), true[stamp_ns(p.header.stamp)]) for p in poses
    ]
    return np.array([(float(metres), float(torch.rad2deg(radians))) for metres, radians in errors])


def test_a_robot_records_trains_and_finds_itself(graph: Graph, start_node: Any, tmp_path: Path) -> None:
    scene = tmp_path / "wall"
    write_wall_scene(scene)
    learned = learn(graph, start_node, scene, tmp_path / "data", preset="fast", time_budget_s=50.0)
    check(learned)
    metres, degrees = np.median(find(graph, start_node, learned.place, rate_hz=1.0), axis=0)
    assert metres < 0.03 and degrees < 0.5


@pytest.mark.skipif(not FOX.is_dir(), reason="the scene fox is not there; ACE_ROS_SCENES names its folder")
@pytest.mark.timeout(1200)
def test_a_real_scene_is_recorded_trained_and_found(graph: Graph, start_node: Any, tmp_path: Path) -> None:
    learned = learn(graph, start_node, FOX, tmp_path, preset="standard")
    check(learned)
    errors = find(graph, start_node, learned.place, rate_hz=0.7)
    print(f"fox: {len(errors)} images found, median errors (m, deg) {np.median(errors, axis=0)}")
    metres, degrees = np.median(errors, axis=0)
    assert metres < 0.10 and degrees < 2.0
