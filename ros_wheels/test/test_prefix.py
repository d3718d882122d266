# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 of this environment: it needs nothing from the shell, and steps aside for a sourced one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ace_ros_prefix
import make_prefix

PREFIX = Path(sys.prefix, "ros")
CHECKOUT = Path(__file__).resolve().parents[2]
has_prefix = pytest.mark.skipif(
    not (PREFIX / ace_ros_prefix.MARKER).is_file(), reason="no ROS 2 from wheels in this environment"
)


def python(code: str, **environment: str) -> str:
    """Run code in this environment's Python with nothing but the given variables; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def stage_ros(folder: Path) -> dict[str, str]:
    """Make a folder that looks like a sourced ROS 2; return the variables that sourcing it would set."""
    packages = folder / "site-packages"
    for name in ("rclpy", "launch", "tf2_ros", "std_msgs"):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").write_text("")
    (packages / "ros2cli").mkdir()
    (packages / "ros2cli" / "cli.py").write_text("def main():\n    print('the sourced ros2')\n")
    (packages / "ros2cli" / "__init__.py").write_text("")
    return {"PYTHONPATH": str(packages), "AMENT_PREFIX_PATH": str(folder), "ROS_DISTRO": "jazzy"}


@has_prefix
def test_a_node_runs_without_any_environment_variable(tmp_path: Path) -> None:
    code = "import rclpy; rclpy.init(); print(rclpy.get_rmw_implementation_identifier()); rclpy.shutdown()"
    assert python(code, ROS_LOG_DIR=str(tmp_path)) == "rmw_fastrtps_cpp"


@has_prefix
def test_the_command_ros2_works_without_any_environment_variable() -> None:
    command = [Path(sys.prefix, "bin", "ros2"), "topic", "list"]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 and done.stderr == ""


@has_prefix
def test_topics_and_services_of_our_interfaces_are_made_without_a_word(tmp_path: Path) -> None:
    """Fast DDS complains on stderr where it cannot find how to describe a type."""
    code = """
import inspect, rclpy, ace_ros.msg, ace_ros.srv, std_srvs.srv, tf2_msgs.msg
rclpy.init()
node = rclpy.create_node("quiet")
for module, make in (
    (ace_ros.msg, node.create_publisher), (tf2_msgs.msg, node.create_publisher),
    (ace_ros.srv, node.create_service), (std_srvs.srv, node.create_service),
):
    for name, kind in inspect.getmembers(module, inspect.isclass):
        if "_" not in name:  # not the parts of a service
            make(kind, name, print if make == node.create_service else 1)
print(len(list(node.publishers)), len(list(node.services)))
"""
    environment = {"ROS_LOG_DIR": str(tmp_path), "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    publishers, services = map(int, done.stdout.split())
    assert publishers >= 3 and services >= 5
    assert done.stderr == ""


@has_prefix
def test_child_processes_are_told_of_the_prefix_and_the_distribution() -> None:
    code = "import os; print(os.environ['AMENT_PREFIX_PATH'], os.environ['ROS_DISTRO'])"
    assert python(code) == f"{PREFIX} kilted"


@has_prefix
def test_a_sourced_ros_is_used_for_everything(tmp_path: Path) -> None:
    environment = stage_ros(tmp_path)
    code = """
import importlib, os
for name in ("rclpy", "launch", "tf2_ros", "std_msgs", "sensor_msgs", "cv_bridge", "launch_ros", "tf2_msgs"):
    try:
        print(name, importlib.import_module(name).__file__)
    except ModuleNotFoundError:
        print(name, None)
print(os.environ["AMENT_PREFIX_PATH"], os.environ["ROS_DISTRO"])
"""
    lines = python(code, **environment).splitlines()
    found = dict(line.split(" ") for line in lines[:-1])
    sourced = [name for name, path in found.items() if path.startswith(str(tmp_path))]
    assert sourced == ["rclpy", "launch", "tf2_ros", "std_msgs"]
    assert {path for name, path in found.items() if name not in sourced} == {"None"}
    assert lines[-1] == f"{tmp_path} jazzy"


@has_prefix
def test_the_command_ros2_is_that_of_a_sourced_ros(tmp_path: Path) -> None:
    command = Path(sys.prefix, "bin", "ros2")
    done = subprocess.run([command], env=stage_ros(tmp_path), capture_output=True, text=True, check=False)
    assert done.stdout == "the sourced ros2\n", done.stderr


@has_prefix
def test_a_ros_that_is_only_on_the_python_path_is_not_mixed_with_ours(tmp_path: Path) -> None:
    path = stage_ros(tmp_path)["PYTHONPATH"]
    code = "import os, sys, rclpy; print(rclpy.__file__, 'AMENT_PREFIX_PATH' in os.environ)"
    assert python(code, PYTHONPATH=path) == f"{path}/rclpy/__init__.py False"


@has_prefix
def test_of_two_such_environments_in_one_shell_each_python_uses_its_own(tmp_path: Path) -> None:
    marker = tmp_path / ace_ros_prefix.MARKER
    marker.parent.mkdir()
    marker.touch()
    code = "import os, rclpy; print(rclpy.__file__, os.environ['AMENT_PREFIX_PATH'])"
    path, prefixes = python(code, AMENT_PREFIX_PATH=str(tmp_path)).split()
    assert Path(path).is_relative_to(PREFIX)
    assert prefixes == str(PREFIX)


@has_prefix
def test_a_ros_that_was_removed_is_no_sourced_one(tmp_path: Path) -> None:
    code = "import os, rclpy; print(os.environ['AMENT_PREFIX_PATH'])"
    assert python(code, AMENT_PREFIX_PATH=str(tmp_path / "removed")) == str(PREFIX)


@has_prefix
def test_a_prefix_that_is_up_to_date_is_left_alone() -> None:
    assert (PREFIX / ace_ros_prefix.MARKER).read_text() == make_prefix.stamp(), "run make setup first"
    before = PREFIX.stat()
    program = Path(make_prefix.__file__)
    subprocess.run([sys.executable, str(program)], check=True, timeout=60)
    assert PREFIX.stat().st_ino == before.st_ino and PREFIX.stat().st_mtime_ns == before.st_mtime_ns


@has_prefix
@pytest.mark.parametrize(
    "name", ["ace_ros/msg/MappingStatus", "ace_ros/msg/LocalizationStatus", "tf2_msgs/msg/TFMessage"]
)
def test_type_hashes_are_those_that_another_implementation_computes(name: str) -> None:
    """rosbags has its own implementation of REP 2016's hashes; it computes those of messages only."""
    rosbags = pytest.importorskip("rosbags.typesys")
    store = rosbags.get_typestore(rosbags.Stores.ROS2_JAZZY)
    package = name.split("/")[0]
    folder = CHECKOUT if package == "ace_ros" else CHECKOUT / "ros_wheels" / package
    store.register(rosbags.get_types_from_msg((folder / f"{name.split('/', 1)[1]}.msg").read_text(), name))
    ours = json.loads((PREFIX / "share" / f"{name}.json").read_text())["type_hashes"]
    hashes = {entry["type_name"]: entry["hash_string"] for entry in ours}
    assert hashes[name] == store.hash_rihs01(name)


def test_nothing_of_a_users_ros_reaches_the_commands_of_the_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/ros/jazzy/lib")
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/jazzy/lib/python3.12/site-packages")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    code = "import os; assert not {'LD_LIBRARY_PATH', 'AMENT_PREFIX_PATH', 'PYTHONPATH'} & set(os.environ)"
    make_prefix.run([sys.executable, "-S", "-c", code])
    assert os.environ["LD_LIBRARY_PATH"]
