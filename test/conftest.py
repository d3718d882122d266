# SPDX-License-Identifier: Apache-2.0
"""Shared by all tests: a small simulated scene and a map trained on it, made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from wall_scene import write_wall_scene

from ace_ros.compute.process import limit_threads
from ace_ros.config import override, training_preset
from ace_ros.data.scene import load_scene
from ace_ros.mapping.map_scene import map_scene
from ace_ros.mapping.progress import Listener, Progress
from support import ON_CPU, SMALL, Trained


def pytest_report_header() -> list[str]:
    """Say what the tests run on."""
    try:
        import rclpy

        ros = f"embedded runtime ({Path(rclpy.__file__).parent})"
        if "embedded_ros" not in rclpy.__file__ and os.environ.get("ROS_DISTRO"):
            ros = f"ROS 2 {os.environ['ROS_DISTRO']} ({Path(rclpy.__file__).parent})"
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
    """Return a small map of the simulated scene, trained in well under a minute."""
    limit_threads()
    progress: list[Progress] = []
    config = override(training_preset("fast"), SMALL)
    scene_map, report = map_scene(load_scene(simulated_scene), config, ON_CPU, Listener(progress.append))
    path = tmp_path_factory.mktemp("maps") / "room.safetensors"
    scene_map.save(path)
    return Trained(simulated_scene, path, scene_map, report, progress)
