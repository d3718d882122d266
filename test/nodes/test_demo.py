# SPDX-License-Identifier: Apache-2.0
"""The simulator in the graph, and a short demo with all its processes."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from geometry_msgs.msg import PoseStamped
from graph import Graph, wait_for
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float32
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from ace_ros.data.camera_info import camera_of_info
from ace_ros.evaluation import demo_report
from ace_ros.nodes.conversions import stamp_ns
from ace_ros.nodes.images import image_array
from ace_ros.simulation.drive import mapping_tour, second_tour

MANY = QoSProfile(depth=200)
SENSOR = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
SHORT = """
/ace/simulator:
  ros__parameters: {tour_share: 0.2, texels_per_m: 128.0}
/ace/demo:
  ros__parameters: {train_budget_s: 15.0, patience_s: 200.0}
"""
REPORT_KEYS = {
    "keyframes", "train_s", "map_bytes", "queries", "localized", "median_translation_m",
    "median_rotation_deg", "recall", "latency_ms", "ros", "device",
}  # fmt: skip


def position(pose: Any) -> tuple[float, float]:
    """Return x and y of a Pose message."""
    return pose.position.x, pose.position.y


def test_the_simulated_robot_drives_drifts_and_is_carried_away(graph: Graph, start_node: Any) -> None:
    images = graph.collect(Image, "/ace/image", SENSOR)
    infos = graph.collect(CameraInfo, "/ace/camera_info", SENSOR)
    truth = graph.collect(PoseStamped, "/ace/ground_truth", MANY)
    odometry = graph.collect(Odometry, "/ace/odom", MANY)
    transforms = graph.collect(TFMessage, "/tf", MANY)
    progress = graph.collect(Float32, "/ace/tour_progress")
    node = start_node("simulator", texels_per_m=32.0, tour_share=0.05, width=160, height=120)
    wait_for("an image", lambda: images and infos and truth and odometry, 60.0)
    assert math.dist(position(truth[0].pose), mapping_tour().pose(0.0)[:2]) < 1e-6
    assert math.dist(position(odometry[0].pose.pose), (0.0, 0.0)) < 1e-6
    assert image_array(images[0]).shape == (120, 160, 3)
    assert camera_of_info(infos[0]).size == (160, 120)

    assert graph.call(Trigger, "/ace/start_tour").success
    assert not graph.call(Trigger, "/ace/start_tour").success
    wait_for("the end of the drive", lambda: progress[-1].data >= 1.0, 60.0)
    node.assert_alive()
    stamps = {stamp_ns(m.header.stamp) for m in images}
    assert len(stamps) > 10
    assert stamps <= {stamp_ns(m.header.stamp) for m in truth}
    assert stamps <= {stamp_ns(t.header.stamp) for m in list(transforms) for t in m.transforms}
    assert math.dist(position(truth[-1].pose), position(truth[0].pose)) > 0.3

    before = position(odometry[-1].pose.pose)
    seen = len(odometry)
    assert graph.call(Trigger, "/ace/kidnap").success
    wait_for("the second drive", lambda: 0.0 < progress[-1].data < 1.0, 60.0)
    wait_for("its end", lambda: progress[-1].data >= 1.0, 60.0)
    start = second_tour().pose(0.0)[:2]
    assert min(math.dist(position(m.pose), start) for m in truth) < 0.2
    path = [before, *(position(m.pose.pose) for m in list(odometry)[seen:])]
    assert max(math.dist(a, b) for a, b in pairwise(path)) < 0.25  # odometry did not jump
    assert node.stop() == 0


def test_a_wrong_parameter_ends_the_simulator_with_a_sentence(graph: Graph, start_node: Any) -> None:
    node = start_node("simulator", image_rate_hz=-3.0)
    assert node.process.wait(60.0) == 2
    assert "image_rate_hz must be at least" in node.output
    assert "Traceback" not in node.output


@pytest.mark.slow
def test_a_short_demo_runs_end_to_end(tmp_path: Path) -> None:
    ros2 = shutil.which("ros2", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert ros2, "the command ros2 is missing"
    params_file, output = tmp_path / "short.yaml", tmp_path / "out"
    params_file.write_text(SHORT)
    domain = 1 + (int(os.environ["ROS_DOMAIN_ID"]) + 50) % 100
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "ROS_LOG_DIR": str(tmp_path / "log")}
    environment["PATH"] = f"{Path(ros2).parent}:{os.environ['PATH']}"
    words = ["ace_ros", "demo.launch.py", f"output_dir:={output}", f"params_file:={params_file}"]
    done = subprocess.run(
        [ros2, "launch", *words], env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    said = done.stdout + done.stderr
    assert (output / "report.json").is_file(), said
    report = json.loads((output / "report.json").read_text())
    assert report.keys() >= REPORT_KEYS
    assert 15 <= report["keyframes"] <= 150
    assert 2.0 < report["drive_m"] < 9.0
    assert 500_000 < report["map_bytes"] < 4_200_000
    assert 0 < report["localized"] <= report["queries"]
    assert 8.0 <= report["train_s"] < 200.0
    assert report["latency_ms"]["median"] > 0.0
    middleware = rclpy.get_rmw_implementation_identifier()
    assert report["ros"] == f"{os.environ['ROS_DISTRO']}, {middleware}"
    assert (output / "data" / "maps" / "simulated_room.safetensors").stat().st_size == report["map_bytes"]
    for name in ("trajectory", "errors", "map_points", "mapping"):
        assert (output / f"{name}.png").stat().st_size > 5000
    # So short a training may or may not pass the bars; the check of `make demo` must agree either way.
    passed = not demo_report.missed_bars(report)
    assert demo_report.main([str(output / "report.json")]) == (0 if passed else 1)
    assert "[5/5] report" in said and "terminate called" not in said and "exit code -" not in said, said
    assert "exit code 1" in said or passed, said
