# SPDX-License-Identifier: Apache-2.0
"""A node whose images get lost on their way says so in its status, its diagnostics and its log."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from graph import Graph, Robot, wait_for
from graph import test_camera as small_camera
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from ace_ros.msg import LocalizationStatus, MappingStatus
from ace_ros.nodes.camera_input import complaint_of
from ace_ros.nodes.image_rate import Rate

MANY = QoSProfile(depth=20)


def test_the_sentence_has_the_figures_and_the_remedy() -> None:
    said = complaint_of(Rate(3.2, 30.1), "/camera/image_raw", reliable=False, transport="raw")
    assert said.startswith("3 of 30 images a second arrive on /camera/image_raw (best effort): ")
    for word in ("fastdds_large_images.xml", "image_reliability", "docs/images_do_not_arrive.md"):
        assert word in said
    assert complaint_of(Rate(0.0, 30.0), "/image", False, "raw").startswith("none of 30 images a second")
    assert complaint_of(Rate(0.12, 0.9), "/image", False, "raw").startswith("0.1 of 0.9 images a second")
    reliable = complaint_of(Rate(3.0, 30.0), "/image", True, "raw")
    assert "set image_transport to compressed" in reliable and "profile" not in reliable
    assert "image_transport" not in complaint_of(Rate(3.0, 30.0), "/image", True, "compressed")


@pytest.mark.parametrize(("name", "kind"), [("mapper", MappingStatus), ("localizer", LocalizationStatus)])
def test_a_node_says_that_images_are_missing(
    graph: Graph, start_node: Any, tmp_path: Path, name: str, kind: type
) -> None:
    topic = "mapping_status" if name == "mapper" else "localization_status"
    node = start_node(name, data_dir=tmp_path)
    statuses = graph.collect(kind, f"/ace/{topic}")
    diagnostics = graph.collect(DiagnosticArray, "/diagnostics", MANY)
    wait_for("the first status", lambda: statuses, 60.0)
    assert math.isnan(statuses[-1].images_per_s)

    def health() -> Any:
        found = [s for m in list(diagnostics) for s in m.status if s.name == f"{name}: images"]
        return found[-1] if found else None

    first = wait_for("diagnostics", health)
    # Robots of other tests may still be there, and silent.
    assert first.message in ("nobody publishes /ace/image", "no images arrive on /ace/image")
    assert first.level == DiagnosticStatus.WARN

    robot = Robot(graph, small_camera((32, 24)))
    pixels = np.zeros((24, 32), np.uint8)
    kept = np.random.default_rng(1).random(6000) < 0.1
    kept[0] = True
    images = iter(kept.tolist())

    def said() -> Any:
        """Publish as a camera at 30 Hz, a tenth of whose images arrives."""
        node.assert_alive()
        robot.tick(1 / 30)
        robot.publish_info()
        if next(images):
            robot.publish_image(pixels)
        return " of 30 images a second arrive on /ace/image (reliable)" in statuses[-1].message

    wait_for("the complaint", said, 60.0)
    assert statuses[-1].images_offered_per_s == pytest.approx(30.0, rel=0.05)
    assert 0.0 < statuses[-1].images_per_s < 9.0
    warned = wait_for("its diagnostics", lambda: "of 30 images a second" in health().message and health())
    values = {pair.key: pair.value for pair in warned.values}
    assert warned.level == DiagnosticStatus.WARN and warned.hardware_id == "/ace/image"
    assert float(values["images_offered_per_s"]) == pytest.approx(30.0, abs=1.5)
    assert values["reliability"] == "reliable" and int(values["publishers"]) >= 1
    wait_for("its log", lambda: "images a second arrive on /ace/image" in node.output)

    def well() -> Any:
        robot.tick(1 / 30)
        robot.publish_info()
        robot.publish_image(pixels)
        return health().level == DiagnosticStatus.OK and health()

    assert wait_for("all images", well, 60.0).message.endswith("images a second arrive")
    assert node.stop() == 0
    assert "Traceback" not in node.output


def test_a_publisher_that_cannot_be_heard_is_told(graph: Graph, start_node: Any, tmp_path: Path) -> None:
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = graph.node.create_publisher(Image, "/unheard/image", qos)
    arguments = ("-r", "image:=/unheard/image")
    node = start_node("mapper", *arguments, data_dir=tmp_path, image_reliability="reliable")
    sentence = "images on /unheard/image are published with best effort, so none can arrive"
    statuses = graph.collect(MappingStatus, "/ace/mapping_status")
    wait_for("the complaint", lambda: statuses and sentence in statuses[-1].message, 60.0)
    wait_for("its log", lambda: sentence in node.output)
    graph.node.destroy_publisher(publisher)
    assert node.stop() == 0
