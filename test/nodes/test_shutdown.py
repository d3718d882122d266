# SPDX-License-Identifier: Apache-2.0
"""How programs end when ROS is shut down while they start."""

from __future__ import annotations

import subprocess
import sys

import pytest

# As rclpy's signal handler does: ROS is shut down, and what is made next fails.
LATE = """
import rclpy
from ace_ros.nodes.shutdown import until_shutdown
rclpy.init()
with until_shutdown():
    rclpy.shutdown()
    rclpy.create_node("late")
print("left quietly")
"""
MISTAKEN = """
import rclpy
from ace_ros.nodes.shutdown import until_shutdown
rclpy.init()
with until_shutdown():
    raise KeyError("a mistake of ours")
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("rclpy")
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)


def test_a_signal_while_a_node_is_made_ends_it_quietly() -> None:
    ended = run(LATE)
    assert (ended.returncode, ended.stdout.strip()) == (0, "left quietly"), ended.stderr
    assert "Traceback" not in ended.stderr


def test_other_errors_are_told() -> None:
    ended = run(MISTAKEN)
    assert ended.returncode == 1 and "KeyError: 'a mistake of ours'" in ended.stderr
