# SPDX-License-Identifier: Apache-2.0
"""`ros2 launch` and `ros2 run` in processes of their own."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from ros2_command import Running, environment, ros2

SLEEPER = """
import os, sys, time
try:
    print("sleeper", os.getpid(), *sys.argv[1:], flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
FAILING = "import sys\nsys.exit(3)\n"
PROGRAMS = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("flag", description="Passed on to the sleeper"),
        DeclareLaunchArgument("word", default_value="a"),
        Node(package="demo", executable="sleeper", arguments=[LaunchConfiguration("flag")],
             output="screen"),
    ])
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Return an environment with the package `demo`."""
    files = {"launch/programs.launch.py": PROGRAMS, "a/twice.launch.py": "", "b/twice.launch.py": ""}
    return environment(tmp_path, "demo", {"sleeper": SLEEPER, "failing": FAILING}, files)


def sleeper_runs(text: str) -> bool:
    """Tell whether the sleeper that printed its process id exists and is no zombie."""
    state = Path("/proc", re.search(r"sleeper (\d+)", text)[1], "stat")
    return state.exists() and ") Z" not in state.read_text()


def test_an_interrupt_reaches_the_nodes_and_leaves_nothing_behind(env: dict[str, str]) -> None:
    with Running("launch", "demo", "programs.launch.py", "flag:=--x", env=env) as launch:
        text = launch.wait_for("sleeper ")
        assert re.search(r"\[INFO\] \[sleeper-1\]: process started with pid \[\d+\]\n", text)
        assert re.search(r"\n\[sleeper-1\] sleeper \d+ --x --ros-args\n", text)
        launch.process.send_signal(signal.SIGINT)
        assert launch.wait() == 0
        assert "[sleeper-1] interrupted\n" in launch.text
        assert not sleeper_runs(text)


def test_arguments_are_shown_and_nothing_is_started(env: dict[str, str]) -> None:
    status, out, _ = ros2("launch", "demo", "programs.launch.py", "--show-args", env=env)
    assert status == 0
    assert out == (
        "Arguments (pass arguments as '<name>:=<value>'):\n"
        "\n    'flag':\n        Passed on to the sleeper\n"
        "\n    'word':\n        no description given\n        (default: 'a')\n"
    )


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


BAD = {
    "Package 'nope' not found": ["nope", "x.launch.py"],
    "file 'x.launch.py' was found nowhere in the share directory of package 'demo'": ["demo", "x.launch.py"],
    "file 'twice.launch.py' was found more than once: ": ["demo", "twice.launch.py"],
    "No launch file supplied: 'demo' is not a file": ["demo"],
    "malformed launch argument 'flag', expected": ["demo", "programs.launch.py", "flag"],
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_launched_is_named_in_one_line(env: dict[str, str], message: str) -> None:
    status, out, error = ros2("launch", *BAD[message], env=env)
    assert (status, out) == (1, "")
    assert error.startswith(message) and error.count("\n") == 1


def test_a_program_gets_its_arguments_and_its_status_is_returned(env: dict[str, str]) -> None:
    status, out, _ = ros2("run", "demo", "failing", "--ros-args", "-r", "a:=b", env=env)
    assert (status, out) == (3, "[ros2run]: Process exited with failure 3\n")
    with Running("run", "demo", "sleeper", "--x", "--ros-args", "-p", "a:=1", env=env) as run:
        assert sleeper_runs(run.wait_for("--x --ros-args -p a:=1"))
        run.process.send_signal(signal.SIGTERM)
        run.wait()
        assert not sleeper_runs(run.text)
