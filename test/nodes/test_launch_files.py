# SPDX-License-Identifier: Apache-2.0
"""The launch files: their nodes start, take remappings, and end well with the launch."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("launch_pytest")

import launch_pytest
from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_path
from graph import START_TIMEOUT_S, Graph, Robot, base_at, texture, wait_for
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnProcessStart, OnShutdown
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)
from std_srvs.srv import SetBool

from ace_ros.msg import LocalizationStatus, MappingStatus
from ace_ros.nodes.large_images import variables


def launch_file(name: str) -> str:
    return str(get_package_share_path("ace_ros") / "launch" / name)


class Watched:
    """A launch file with arguments, and what becomes of it."""

    def __init__(self, name: str, **arguments: str) -> None:
        self.started: list[str] = []  # names of processes
        self.pids: list[int] = []
        self.environments: list[dict[str, str]] = []  # theirs
        self.exits: list[int] = []  # their exit codes
        self.end = ""  # the reason why the launch ended
        source = PythonLaunchDescriptionSource(launch_file(name))
        self.description = LaunchDescription(
            [
                RegisterEventHandler(OnProcessStart(on_start=self._on_start)),
                RegisterEventHandler(OnProcessExit(on_exit=self._on_exit)),
                RegisterEventHandler(OnShutdown(on_shutdown=self._on_shutdown)),
                IncludeLaunchDescription(source, launch_arguments=arguments.items()),
            ]
        )

    def _on_start(self, event: Any, context: Any) -> None:
        self.started.append(event.process_name.rpartition("-")[0])
        self.pids.append(event.pid)
        entries = Path(f"/proc/{event.pid}/environ").read_text().split("\0")
        self.environments.append(dict(entry.split("=", 1) for entry in entries if "=" in entry))

    def _on_exit(self, event: Any, context: Any) -> None:
        self.exits.append(event.returncode)

    def _on_shutdown(self, event: Any, context: Any) -> None:
        self.end = event.reason


@pytest.fixture
def mapper(tmp_path: Path) -> Watched:
    params = tmp_path / "params.yaml"
    params.write_text(f"/**:\n  ros__parameters:\n    data_dir: {tmp_path}\n")
    topics = {"image": "/ace/image", "camera_info": "/ace/camera_info"}
    return Watched("map.launch.py", **topics, params_file=str(params))


@launch_pytest.fixture
def map_launch(mapper: Watched) -> LaunchDescription:
    return mapper.description


@pytest.fixture
def localizer() -> Watched:
    return Watched("localize.launch.py", map="2024")


@launch_pytest.fixture
def localize_launch(localizer: Watched) -> LaunchDescription:
    return localizer.description


@pytest.mark.launch(fixture=map_launch)
def test_the_mapper_is_launched_with_its_topics_remapped(
    mapper: Watched, graph: Graph, tmp_path: Path
) -> Iterator[None]:
    statuses = graph.collect(MappingStatus, "/ace/mapping_status")
    wait_for("the mapper's first status", lambda: statuses or mapper.exits, START_TIMEOUT_S)
    assert not mapper.exits, "the mapper has ended"
    robot = Robot(graph)
    assert graph.call(SetBool, "/ace/record", data=True).success

    def recorded() -> bool:
        robot.look(texture(0), base_at(0.0))
        return statuses[-1].keyframes > 0

    wait_for("a keyframe", recorded)
    assert statuses[-1].scene.startswith(str(tmp_path))
    for name in variables(os.environ):
        assert mapper.environments[0][name].endswith("config/fastdds_large_images.xml")
    statuses.clear()
    os.kill(mapper.pids[0], signal.SIGKILL)
    wait_for("the mapper that was started again", lambda: statuses, START_TIMEOUT_S)
    assert graph.call(SetBool, "/ace/record", data=True).success
    yield
    assert mapper.started == ["mapper", "mapper"] and mapper.exits == [-signal.SIGKILL, 0]


@pytest.mark.launch(fixture=localize_launch)
def test_the_localizer_is_launched_and_tells_that_its_map_is_missing(
    localizer: Watched, graph: Graph
) -> Iterator[None]:
    statuses = graph.collect(LocalizationStatus, "/ace/localization_status")
    wait_for("the localizer's first status", lambda: statuses or localizer.exits, START_TIMEOUT_S)
    assert not localizer.exits, "the localizer has ended"
    assert statuses[-1].state == LocalizationStatus.NO_MAP
    assert statuses[-1].message.endswith("2024.safetensors: there is no such map")
    yield
    assert localizer.started == ["localizer"] and localizer.exits == [0]


@pytest.mark.parametrize("name", ["map.launch.py", "localize.launch.py"])
def test_every_argument_has_a_description(name: str) -> None:
    description = get_launch_description_from_python_launch_file(launch_file(name))
    described = {argument.name: argument.description for argument in description.get_launch_arguments()}
    assert set(described) >= {"namespace", "image", "camera_info", "params_file", "use_sim_time"}
    assert "no description given" not in described.values()


def test_a_node_that_cannot_start_as_it_is_called_is_not_started_again(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("/**:\n  ros__parameters:\n    keyframe_distance: 1.0\n")
    watched = Watched("map.launch.py", params_file=str(params))
    service = LaunchService()
    service.include_launch_description(watched.description)
    assert service.run() == 0
    assert watched.started == ["mapper"] and watched.exits == [2]
    assert watched.end.endswith("cannot start with these parameters")


def test_where_rviz_is_missing_no_localizer_is_started() -> None:
    try:
        get_package_prefix("rviz2")
        pytest.skip("RViz is installed")
    except PackageNotFoundError:
        pass
    watched = Watched("localize.launch.py", rviz="true")
    service = LaunchService()
    service.include_launch_description(watched.description)
    assert service.run() == 1 and watched.started == []
    assert "package 'rviz2' not found" in watched.end
