# SPDX-License-Identifier: Apache-2.0
"""What a node says where ROS cannot begin: one sentence, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from graph import SCRIPTS

pytest.importorskip("rclpy")

import rclpy

NODES = ["mapper", "localizer", "player", "simulator", "demo"]
ENDS_AT_ONCE = ["--ros-args", "-p", "no_such_parameter:=1"]


def start(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *(arguments or ENDS_AT_ONCE)],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def only_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a program has ended with."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize("name", NODES)
def test_a_middleware_that_is_not_installed_is_named(name: str) -> None:
    here = rclpy.get_rmw_implementation_identifier()
    sentence = only_sentence(start(name, RMW_IMPLEMENTATION="rmw_of_another_machine"))
    assert sentence.startswith(f"{name}: RMW_IMPLEMENTATION is 'rmw_of_another_machine', but installed is")
    assert here in sentence and "unset it or install" in sentence


def test_the_middleware_that_is_installed_can_be_asked_for() -> None:
    here = rclpy.get_rmw_implementation_identifier()
    assert "'no_such_parameter' is not known" in only_sentence(start("mapper", RMW_IMPLEMENTATION=here))


@pytest.mark.parametrize("folder", ["home/.ros", "home"])
def test_a_home_that_cannot_be_written_only_moves_the_logs(tmp_path: Path, folder: str) -> None:
    """A file in the place of a folder stops root as well as others."""
    (tmp_path / folder).parent.mkdir(exist_ok=True)
    (tmp_path / folder).write_text("")
    environment = {"HOME": str(tmp_path / "home"), "ROS_LOG_DIR": "", "ROS_HOME": "", "TMPDIR": str(tmp_path)}
    done = start("mapper", **environment)
    first, second = done.stderr.strip().splitlines()
    assert first.startswith(f"no logs can be written to {tmp_path / 'home/.ros/log'}: ")
    moved = Path(first.rpartition(" ")[2])
    assert moved.parent == tmp_path and list(moved.glob("*.log")), "the log is there"
    assert "'no_such_parameter' is not known" in second


def test_a_log_folder_that_was_asked_for_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "log"
    sentence = only_sentence(start("mapper", ROS_LOG_DIR=str(folder)))
    assert sentence == f"mapper: no logs can be written to {folder}: Not a directory (ROS_LOG_DIR)"


def test_arguments_that_ros_does_not_understand_are_told() -> None:
    done = start("mapper", "--ros-args", "-p", "nonsense")
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert last.startswith("mapper: ROS cannot begin: ") and "nonsense" in last


BROKEN = {
    "missing": None,
    "numpy": "raise AttributeError('_ARRAY_API not found')",
    # Imports, but was built for another OpenCV.
    "opencv": """
class CvBridgeError(TypeError): pass
class CvBridge:
    def cv2_to_imgmsg(self, image, encoding): raise KeyError(16)
""",
    "colours": """
class CvBridgeError(TypeError): pass
class CvBridge:
    def cv2_to_imgmsg(self, image, encoding): return image
    def imgmsg_to_cv2(self, image, encoding): return image
""",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_cv_bridge_that_does_not_work_is_told(tmp_path: Path, kind: str) -> None:
    text = BROKEN[kind] or "raise ModuleNotFoundError(\"No module named 'cv_bridge'\", name='cv_bridge')"
    (tmp_path / "cv_bridge.py").write_text(text)
    sentence = only_sentence(start("localizer", PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"))
    if kind == "missing":
        assert "No module named 'cv_bridge'; source your ROS 2 workspace first" in sentence
    else:
        assert f"{sys.executable} has a cv_bridge that does not work with numpy " in sentence
        assert " and OpenCV " in sentence and 'pip install "numpy<2"' in sentence
