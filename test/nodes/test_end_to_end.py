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
from rclpy.qos import QoSProfile
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage

from ace_ros.data.scene import load_scene
from ace_ros.geometry.metrics import pose_error
from ace_ros.msg import LocalizationStatus, MappingStatus
from ace_ros.nodes.conversions import matrix_of_pose, matrix_of_transform, stamp_ns
from ace_ros.srv import Train

SCENES = os.environ.get("ACE_ROS_SCENES", "")
MANY = QoSProfile(depth=500)


def record(graph: Graph, start_node: Any, scene: Path, folder: Path) -> int:
    """Play a scene into the mapper; return the number of keyframes."""
    statuses = graph.collect(MappingStatus, "/ace/mapping_status")
    wait_for("the mapper", lambda: statuses, 60.0)
    assert graph.call(SetBool, "/ace/record", data=True).success
    player = start_node("player", scene=scene, rate_hz=6.0, mount_z_m=0.5, mount_pitch_deg=5.0)
    assert player.process.wait(120.0) == 0, player.output
    response = graph.call(SetBool, "/ace/record", data=False)
    assert response.success, response.message
    wait_for("the end of the recording", lambda: statuses[-1].state == MappingStatus.IDLE)
    return len(load_scene(Path(statuses[-1].scene)).frames)


def localize(graph: Graph, start_node: Any, scene: Path, rate_hz: float) -> tuple[list[Any], np.ndarray]:
    """Play a scene's test images to the localizer; return statuses and errors (m, deg) of its poses."""
    statuses = graph.collect(LocalizationStatus, "/ace/localization_status")
    poses = graph.collect(PoseWithCovarianceStamped, "/ace/pose", MANY)
    transforms = graph.collect(TFMessage, "/tf", MANY)
    wait_for("the map in the localizer", lambda: statuses and statuses[-1].map_name == "place", 60.0)
    player = start_node(
        "player", scene=scene, split="test", rate_hz=rate_hz, mount_z_m=0.5, mount_pitch_deg=5.0
    )
    assert player.process.wait(300.0) == 0, player.output
    true = {
        stamp_ns(t.header.stamp): matrix_of_transform(t.transform)
        for message in transforms
        for t in message.transforms
        if (t.header.frame_id, t.child_frame_id) == ("odom", "base_link")
    }
    errors = []
    for pose in poses:
        metres, radians = pose_error(
            matrix_of_pose(pose.pose.pose), true[stamp_ns(pose.header.stamp)]
        )
        errors.append((float(metres), float(torch.rad2deg(radians))))
    return [s for s in statuses if s.images_tried], np.array(errors).reshape(-1, 2)


def run(graph: Graph, start_node: Any, scene: Path, folder: Path, **request: Any) -> np.ndarray:
    """Record, train and localize; return the errors (m, deg) of the localized test images."""
    every_image = {"keyframe_distance_m": 0.001, "keyframe_angle_deg": 0.01}
    # A scene of photographs has steps that no robot makes, so nothing is compared with odometry.
    mapper = start_node("mapper", data_dir=folder, **every_image)
    frames = len(load_scene(scene).frames)
    assert record(graph, start_node, scene, folder) >= 0.9 * frames
    response = graph.call(Train, "/ace/train", 900.0, map_name="place", wait=True, **request)
    assert response.success, response.message
    assert Path(response.map_path) == folder / "maps" / "place.safetensors"
    assert response.map_bytes == Path(response.map_path).stat().st_size < 5_000_000
    assert response.frames >= 0.9 * frames and response.steps > 0 and response.train_s > 0
    assert mapper.stop() == 0
    localizer = start_node("localizer", data_dir=folder, map="place", gate_distance_m=1000.0)
    statuses, errors = localize(graph, start_node, scene, rate_hz=0.8)
    assert localizer.stop() == 0
    tried = len(load_scene(scene, "test").frames)
    print(f"{len(errors)} of {tried} localized, median {np.median(errors, axis=0)}")
    assert len(errors) >= 0.6 * tried, [s.message for s in statuses]
    return errors


def test_a_simulated_robot_finds_itself(
    graph: Graph, start_node: Any, simulated_scene: Path, tmp_path: Path
) -> None:
    metres, degrees = np.median(run(graph, start_node, simulated_scene, tmp_path, preset="fast"), axis=0)
    assert metres < 0.25 and degrees < 5.0


@pytest.mark.skipif(not SCENES, reason="ACE_ROS_SCENES names no folder with the scene fox")
@pytest.mark.timeout(1200)
def test_a_real_scene_is_recorded_trained_and_found(graph: Graph, start_node: Any, tmp_path: Path) -> None:
    scene = Path(SCENES) / "fox"
    metres, degrees = np.median(run(graph, start_node, scene, tmp_path, preset="standard"), axis=0)
    assert metres < 0.10 and degrees < 2.0
