# SPDX-License-Identifier: Apache-2.0
"""The launch files, started as a user starts them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from graph import Graph, Robot, base_at, texture, wait_for
from std_srvs.srv import SetBool

from ace_ros.msg import LocalizationStatus, MappingStatus
from ace_ros.nodes.large_images import variables

ROS2 = shutil.which("ros2")
pytestmark = pytest.mark.skipif(ROS2 is None, reason="there is no command ros2")


def launch(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [ROS2, "launch", "ace_ros", *arguments], stdout=output, stderr=subprocess.STDOUT
        )


def interrupt(process: subprocess.Popen[bytes], log: Path) -> None:
    """End a launch as Ctrl-C does: it ends its nodes."""
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(30.0) == 0, log.read_text()
    finally:
        process.kill()


def environment_of(parent: int, program: str) -> dict[str, str]:
    """Return the environment of a program that a process has started."""
    for children in Path(f"/proc/{parent}/task").glob("*/children"):
        for pid in children.read_text().split():
            if f"/{program}\0" in Path(f"/proc/{pid}/cmdline").read_text():
                entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
                return dict(entry.split("=", 1) for entry in entries if "=" in entry)
    raise AssertionError(f"process {parent} has started no {program}")


@pytest.mark.parametrize("name", ["map.launch.py", "localize.launch.py"])
def test_every_argument_has_a_description(name: str) -> None:
    shown = subprocess.run(
        [ROS2, "launch", "ace_ros", name, "--show-args"], capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0, shown.stderr
    for argument in ("namespace", "image", "camera_info", "params_file", "use_sim_time"):
        assert f"'{argument}'" in shown.stdout


def test_the_mapper_is_launched_with_its_topics_remapped(graph: Graph, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(f"/**:\n  ros__parameters:\n    data_dir: {tmp_path}\n")
    log = tmp_path / "launch.log"
    process = launch(
        log, "map.launch.py", "image:=/ace/image", "camera_info:=/ace/camera_info", f"params_file:={params}"
    )
    try:
        statuses = graph.collect(MappingStatus, "/ace/mapping_status")
        wait_for("the mapper's first status", lambda: statuses, 60.0)
        robot = Robot(graph)
        assert graph.call(SetBool, "/ace/record", data=True).success

        def recorded() -> bool:
            robot.look(texture(0), base_at(0.0))
            return statuses[-1].keyframes > 0 or statuses[-1].dropped_unsynchronised > 0

        wait_for("an image", recorded)
        assert statuses[-1].scene.startswith(str(tmp_path))
        for name in variables(os.environ):
            assert environment_of(process.pid, "mapper")[name].endswith("config/fastdds_large_images.xml")
    finally:
        interrupt(process, log)


def test_the_localizer_is_launched_and_tells_that_its_map_is_missing(graph: Graph, tmp_path: Path) -> None:
    log = tmp_path / "launch.log"
    process = launch(log, "localize.launch.py", "map:=2024")
    try:
        statuses = graph.collect(LocalizationStatus, "/ace/localization_status")
        wait_for("the localizer's first status", lambda: statuses, 60.0)
        assert statuses[-1].state == LocalizationStatus.NO_MAP
        assert statuses[-1].message.endswith("2024.safetensors: there is no such map")
    finally:
        interrupt(process, log)


def test_where_rviz_is_missing_the_localizer_is_not_left_running(graph: Graph, tmp_path: Path) -> None:
    if subprocess.run([ROS2, "pkg", "prefix", "rviz2"], capture_output=True).returncode == 0:
        pytest.skip("RViz is installed")
    statuses = graph.collect(LocalizationStatus, "/without_rviz/localization_status")
    log = tmp_path / "launch.log"
    process = launch(log, "localize.launch.py", "rviz:=true", "namespace:=without_rviz")
    assert process.wait(60.0) == 1 and "'rviz2' not found" in log.read_text()
    time.sleep(8.0)  # that long a localizer may take to start
    assert not statuses, "the launch has ended, its localizer has not"
