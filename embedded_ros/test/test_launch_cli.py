# SPDX-License-Identifier: Apache-2.0
"""`ros2 launch` and `ros2 run` in processes of their own, with programs and with nodes."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from ros2_command import ROS2, Running, environment, install, is_running, ros2

DOMAIN = 171

SLEEPER = """
import os, signal, sys, time
if "--ignore" in sys.argv:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
try:
    print("sleeper", os.getpid(), *sys.argv[1:], flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
FAILING = "import sys\nsys.exit(3)\n"
NODE = """
import rclpy
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import String

def main():
    rclpy.init()
    node = rclpy.create_node("default_name")
    rate = node.declare_parameter("rate", 1.0).value
    word = node.declare_parameter("word", "nothing").value
    publisher = node.create_publisher(String, "out", 10)
    node.create_subscription(
        String, "in", lambda m: node.get_logger().info(f"{rate} heard {m.data}"), 10
    )
    node.create_timer(0.05, lambda: publisher.publish(String(data=word)))
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    node.destroy_node()
    rclpy.try_shutdown()

main()
"""
PROGRAMS = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("flag", description="Passed on to the sleeper"),
        DeclareLaunchArgument("fail", default_value="false", choices=["true", "false"]),
        Node(package="demo", executable="sleeper", arguments=[LaunchConfiguration("flag")],
             output="screen"),
        Node(package="demo", executable="failing", on_exit=Shutdown(),
             condition=IfCondition(LaunchConfiguration("fail"))),
    ])
"""
NODES = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.substitutions import FindPackageShare

def generate_launch_description():
    params = PathJoinSubstitution([FindPackageShare("demo"), "config", "params.yaml"])
    node = {"package": "demo", "executable": "node", "output": "screen"}
    return LaunchDescription([
        DeclareLaunchArgument("word", default_value="hello", description="What is said"),
        DeclareLaunchArgument("params", default_value=params),
        GroupAction([
            PushRosNamespace("robot"),
            Node(**node, name="speaker", parameters=[{"word": LaunchConfiguration("word")}],
                 remappings=[("out", "said")]),
            Node(**node, name="listener", parameters=[LaunchConfiguration("params")],
                 remappings=[("in", "said")]),
        ]),
    ])
"""
PARAMS = "/robot/listener:\n  ros__parameters:\n    rate: 2.5\n"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Return an environment with the package `demo`."""
    files = {
        "launch/programs.launch.py": PROGRAMS,
        "launch/nodes.launch.py": NODES,
        "config/params.yaml": PARAMS,
        "a/twice.launch.py": "",
        "b/twice.launch.py": "",
    }
    install(tmp_path, "demo", {"sleeper": SLEEPER, "failing": FAILING, "node": NODE}, files)
    return environment(tmp_path, DOMAIN)


def sleeper_pid(text: str) -> int:
    """Return the process id that a sleeper printed."""
    return int(re.search(r"sleeper (\d+)", text)[1])


def test_sigint_reaches_the_nodes_and_leaves_nothing_behind(env: dict[str, str]) -> None:
    with Running([*ROS2, "launch", "demo", "programs.launch.py", "flag:=--x"], env) as launch:
        text = launch.wait_for("sleeper ")
        assert re.search(r"\[INFO\] \[sleeper-1\]: process started with pid \[\d+\]\n", text)
        assert re.search(r"\n\[sleeper-1\] sleeper \d+ --x --ros-args\n", text)
        launch.send(signal.SIGINT)
        assert launch.wait() == 0
        assert "[sleeper-1] interrupted\n" in launch.text
        assert "[INFO] [sleeper-1]: process has finished cleanly [pid " in launch.text
        assert not is_running(sleeper_pid(text))


def test_a_node_that_ignores_signals_is_killed(env: dict[str, str]) -> None:
    patience = ["sigterm_timeout:=0.3", "sigkill_timeout:=0.3"]
    command = [*ROS2, "launch", "demo", "programs.launch.py", "flag:=--ignore", *patience]
    with Running(command, env) as launch:
        pid = sleeper_pid(launch.wait_for("sleeper "))
        launch.send(signal.SIGINT)
        assert launch.wait() == 0
        assert "'0.3' seconds after receiving 'SIGINT', escalating to 'SIGTERM'" in launch.text
        assert "'0.3' seconds after receiving 'SIGTERM', escalating to 'SIGKILL'" in launch.text
        assert "process has died [pid " in launch.text
        assert ", exit code -9, cmd '" in launch.text
        assert not is_running(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_the_nodes_too(env: dict[str, str], number: int) -> None:
    with Running([*ROS2, "launch", "demo", "programs.launch.py", "flag:=x"], env) as launch:
        pid = sleeper_pid(launch.wait_for("sleeper "))
        launch.send(number)
        assert launch.wait() == 1
        assert "[sleeper-1] interrupted\n" in launch.text
        assert not is_running(pid)


def test_nodes_do_not_outlive_a_launch_that_was_killed(env: dict[str, str]) -> None:
    with Running([*ROS2, "launch", "demo", "programs.launch.py", "flag:=x"], env) as launch:
        pid = sleeper_pid(launch.wait_for("sleeper "))
        launch.send(signal.SIGKILL)
        launch.wait()
        end = time.monotonic() + 5.0
        while is_running(pid):
            assert time.monotonic() < end, "the node still runs"
            time.sleep(0.05)


def test_the_exit_of_a_required_node_ends_the_launch(env: dict[str, str]) -> None:
    status, out, _ = ros2("launch", "demo", "programs.launch.py", "flag:=x", "fail:=true", env=env)
    assert status == 0
    assert "[ERROR] [failing-2]: process has died [pid " in out
    assert ", exit code 3, cmd '" in out
    assert "process[failing-2] was required: shutting down launched system" in out
    assert "[INFO] [sleeper-1]: sending signal 'SIGINT' to process[sleeper-1]" in out


def test_two_nodes_talk_with_arguments_files_namespace_and_remapping(env: dict[str, str]) -> None:
    with Running([*ROS2, "launch", "demo", "nodes.launch.py", "word:=good day"], env) as launch:
        text = launch.wait_for("heard good day")
        assert re.search(r"\[node-2\] \[INFO\] \[[\d.]+\] \[robot.listener\]: 2.5 heard good", text)
        assert "robot.speaker]: 1.0 heard" not in text
        launch.send(signal.SIGINT)
        assert launch.wait() == 0
        assert launch.text.count("process has finished cleanly") == 2


def test_show_args_lists_arguments_and_starts_nothing(env: dict[str, str]) -> None:
    status, out, _ = ros2("launch", "demo", "programs.launch.py", "--show-args", env=env)
    assert status == 0
    assert out == (
        "Arguments (pass arguments as '<name>:=<value>'):\n"
        "\n    'flag':\n        Passed on to the sleeper\n"
        "\n    'fail':\n        One of: ['true', 'false']\n        (default: 'false')\n"
    )
    out = ros2("launch", "demo", "nodes.launch.py", "-s", env=env)[1]
    default = "PathJoin('FindPackageShare(pkg='demo') + 'config' + 'params.yaml'')"
    assert f"\n    'params':\n        no description given\n        (default: {default})\n" in out


def test_a_launch_file_can_be_given_by_its_path(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "own.launch.py"
    path.write_text(
        "from launch import LaunchDescription\n"
        "from launch.actions import LogInfo\n"
        "from launch.substitutions import LaunchConfiguration\n"
        "def generate_launch_description():\n"
        "    return LaunchDescription([LogInfo(msg=LaunchConfiguration('a'))])\n"
    )
    status, out, _ = ros2("launch", str(path), "a:=1:=2", env=env)
    assert status == 0
    assert "[INFO] [launch.user]: 1:=2\n" in out
    assert "[WARNING] [launch]: the launch file does not declare the argument 'a'" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nope", "x.launch.py"],
            "Package 'nope' not found: package 'nope' not found, searching: ",
        ),
        (
            ["demo", "x.launch.py"],
            "file 'x.launch.py' was not found in the share directory of pack",
        ),
        (
            ["demo", "twice.launch.py"],
            "file 'twice.launch.py' was found more than once in the share",
        ),
        (["demo"], "No launch file supplied"),
        (
            ["demo", "programs.launch.py", "flag"],
            "malformed launch argument 'flag', expected format",
        ),
    ],
)
def test_what_cannot_be_launched_is_named_in_one_line(
    env: dict[str, str], arguments: list[str], message: str
) -> None:
    status, out, error = ros2("launch", *arguments, env=env)
    assert status == 1
    assert out == ""
    assert error.startswith(message)
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "Included launch description missing required argument 'flag' "),
        (["flag:=x", "fail:=maybe"], 'Argument "fail" provided value "maybe" is not valid.'),
    ],
)
def test_wrong_argument_values_fail_the_launch(
    env: dict[str, str], given: list[str], message: str
) -> None:
    status, out, _ = ros2("launch", "demo", "programs.launch.py", *given, env=env)
    assert status == 1
    assert message in out


def test_an_unknown_executable_fails_the_launch(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "walker.launch.py"
    path.write_text(
        "from launch import LaunchDescription\n"
        "from launch_ros.actions import Node\n"
        "def generate_launch_description():\n"
        "    return LaunchDescription([Node(package='demo', executable='walker')])\n"
    )
    status, out, _ = ros2("launch", str(path), env=env)
    assert status == 1
    assert "executable 'walker' not found on the libexec directory" in out


def test_run_passes_arguments_on_and_returns_the_exit_status(env: dict[str, str]) -> None:
    status, out, _ = ros2("run", "demo", "failing", "--ros-args", "-r", "a:=b", env=env)
    assert status == 3
    assert out == "[ros2run]: Process exited with failure 3\n"
    with Running([*ROS2, "run", "demo", "sleeper", "--x", "--ros-args", "-p", "a:=1"], env) as run:
        pid = sleeper_pid(run.wait_for("--x --ros-args -p a:=1"))
        run.send(signal.SIGTERM)
        run.wait()
        assert not is_running(pid)


def test_what_cannot_be_run_is_named_in_one_line(env: dict[str, str]) -> None:
    assert ros2("run", "nope", "x", env=env) == (1, "", "Package 'nope' not found\n")
    assert ros2("run", "demo", "x", env=env) == (1, "", "No executable found\n")


def test_pkg_lists_what_can_be_run(env: dict[str, str], tmp_path: Path) -> None:
    assert "demo\n" in ros2("pkg", "list", env=env)[1]
    programs = "demo failing\ndemo node\ndemo sleeper\n"
    assert ros2("pkg", "executables", "demo", env=env) == (0, programs, "")
    assert ros2("pkg", "prefix", "demo", env=env) == (0, f"{tmp_path}/prefix\n", "")
    assert ros2("pkg", "prefix", "--share", "demo", env=env)[1] == f"{tmp_path}/prefix/share/demo\n"
    assert ros2("pkg", "prefix", "nope", env=env) == (1, "", "Package not found\n")
