# SPDX-License-Identifier: Apache-2.0
"""Whether the launch files name the Fast DDS profile, and that it holds large images."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest.importorskip("launch")

from launch import LaunchDescription, LaunchService
from launch.actions import ExecuteProcess

from ace_ros.nodes.large_images import (
    CHOICES,
    OLD_PROFILES,
    PROFILES,
    fit_images_into_shared_memory,
    use_profile,
    variables,
)

PROFILE = Path(__file__).resolve().parents[2] / "config" / "fastdds_large_images.xml"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"ROS_DISTRO": "kilted"}, [PROFILES]),
        ({"ROS_DISTRO": "lyrical"}, [PROFILES]),
        ({}, [PROFILES]),
        ({"ROS_DISTRO": "humble"}, [PROFILES, OLD_PROFILES]),
        ({"ROS_DISTRO": "jazzy"}, [PROFILES, OLD_PROFILES]),
        ({"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}, [PROFILES]),
        ({"RMW_IMPLEMENTATION": "rmw_fastrtps_dynamic_cpp", "ROS_LOCALHOST_ONLY": "0"}, [PROFILES]),
        ({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, []),
        ({"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}, []),
        ({PROFILES: "/mine.xml"}, []),
        ({OLD_PROFILES: "/mine.xml"}, []),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, []),
        ({"ROS_LOCALHOST_ONLY": "1"}, []),
    ],
)
def test_a_choice_of_the_users_is_kept(environment: dict[str, str], expected: list[str]) -> None:
    assert variables(environment) == expected


def test_the_nodes_launched_after_it_have_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (PROFILES, OLD_PROFILES, "FASTDDS_BUILTIN_TRANSPORTS", "RMW_IMPLEMENTATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path))
    monkeypatch.setattr(os, "environ", os.environ.copy())
    script = f"import os; open({str(tmp_path / 'found')!r}, 'w').write(os.environ[{PROFILES!r}])"
    service = LaunchService()
    service.include_launch_description(
        LaunchDescription(
            [fit_images_into_shared_memory(), ExecuteProcess(cmd=[sys.executable, "-c", script])]
        )
    )
    assert service.run() == 0
    found = Path((tmp_path / "found").read_text())
    assert found.name == PROFILE.name and found.read_bytes() == PROFILE.read_bytes()


def test_a_node_that_is_started_alone_has_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = {n: v for n, v in os.environ.items() if n not in (*CHOICES, "RMW_IMPLEMENTATION")}
    monkeypatch.setattr(os, "environ", unset)
    use_profile()
    assert Path(os.environ[PROFILES]).read_bytes() == PROFILE.read_bytes()
    os.environ[PROFILES] = "/mine.xml"
    use_profile()
    assert os.environ[PROFILES] == "/mine.xml"


def test_its_shared_memory_holds_images() -> None:
    space = {"": "http://www.eprosima.com"}
    root = ET.parse(PROFILE).getroot()
    segment = root.find(".//transport_descriptor[type='SHM']/segment_size", space)
    assert int(segment.text) >= 10 * 1280 * 720 * 3
    ids = [e.text for e in root.findall(".//transport_descriptor/transport_id", space)]
    assert ids == [e.text for e in root.findall(".//userTransports/transport_id", space)]


def test_fast_dds_reads_the_profile() -> None:
    pytest.importorskip("rclpy")
    script = (
        "import rclpy; rclpy.init(); node = rclpy.create_node('reads_profile');"
        "print(rclpy.get_rmw_implementation_identifier())"
    )
    names = (PROFILES, OLD_PROFILES) if OLD_PROFILES in variables(os.environ) else (PROFILES,)
    environment = {**os.environ, **{name: str(PROFILE) for name in names}}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "rror" not in done.stderr, done.stderr
