# SPDX-License-Identifier: Apache-2.0
"""Shared by all tests: a small simulated scene and a map of it."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from wall_scene import write_wall_scene

from ace_ros.maps.scene_map import SceneMap
from support import GOLDEN, JustTrained, Trained, train_small

pytest_plugins = ["durations"]


def pytest_configure() -> None:
    """Undo that background jobs of a shell ignore Ctrl-C: the processes that tests start inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    """Say what the tests run on."""
    try:
        import rclpy

        middleware = rclpy.get_rmw_implementation_identifier()
        ros = f"2 {os.environ.get('ROS_DISTRO')}, {middleware} ({Path(rclpy.__file__).parent})"
    except ImportError:
        ros = "none: node tests are skipped"
    return [f"ROS: {ros}", f"torch {torch.__version__}, CUDA {torch.cuda.is_available()}"]


@pytest.fixture(scope="session")
def simulated_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a scene folder: a robot moves in front of a painted wall, 3 m away."""
    folder = tmp_path_factory.mktemp("scene") / "wall"
    write_wall_scene(folder, frames=24, test_frames=8)
    return folder


@pytest.fixture(scope="session")
def trained(simulated_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return the golden map of the simulated scene, which golden/make_golden.py has trained."""
    path = tmp_path_factory.mktemp("maps") / "room.safetensors"
    shutil.copy(GOLDEN / "wall.safetensors", path)
    return Trained(simulated_scene, path, SceneMap.load(path))


@pytest.fixture(scope="session")
def just_trained(simulated_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> JustTrained:
    """Return a map of the simulated scene that is trained now, in a minute: for tests marked slow."""
    return train_small(simulated_scene, tmp_path_factory.mktemp("just_trained") / "room.safetensors")
