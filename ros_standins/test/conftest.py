# SPDX-License-Identifier: Apache-2.0
"""What the tests of the stand-ins share. Where a real package is imported, its tests are left out."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

# Apart from other tests and robots on this machine; real DDS allows up to 101 on every system.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

SOURCE = Path(__file__).resolve().parents[1] / "src"
PACKAGES = {
    "test_cv_bridge.py": "cv_bridge",
    "test_launch_actions.py": "launch",
    "test_launch_process.py": "launch",
    "test_launch_pytest.py": "launch_pytest",
    "test_launch_ros.py": "launch_ros",
    "test_ros2_launch.py": "ros2cli",
    "test_ros2_messages.py": "ros2cli",
    "test_ros2_verbs.py": "ros2cli",
    "test_sensor_msgs_py.py": "sensor_msgs_py",
    "test_tf2_ros.py": "tf2_ros",
}


def is_stand_in(package: str) -> bool:
    """Tell whether a package would be imported from this folder."""
    found = importlib.util.find_spec(package)
    return found is not None and SOURCE in Path(found.origin or ".").resolve().parents


collect_ignore = [name for name, package in PACKAGES.items() if not is_stand_in(package)]
pytest_plugins = ["pytester"]


def pytest_configure() -> None:
    """Undo that background jobs of a shell ignore Ctrl-C: the processes that tests start inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Return a function that launches entities and gives exit status and printed text."""
    from launch import LaunchDescription, LaunchService

    def run(*entities: object) -> tuple[int, str]:
        service = LaunchService()
        service.include_launch_description(LaunchDescription(entities))
        return service.run(), capsys.readouterr().out

    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    return run
