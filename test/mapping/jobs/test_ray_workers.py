# SPDX-License-Identifier: Apache-2.0
"""Chunks on a Ray of this machine with worker processes of its own, one of which is killed."""

from __future__ import annotations

import logging
import os
import re
import signal
from pathlib import Path

import pytest

from ace_ros.config import TrainingConfig, override
from ace_ros.data.scene import load_scene
from ace_ros.errors import ConfigError
from ace_ros.mapping.jobs.place import train_place
from ace_ros.mapping.map_scene import Progress
from ace_ros.maps.scene_map import SceneMap
from support import SMALL

pytest.importorskip("ray", reason="Ray is an optional extra: pip install 'ace_ros[ray]'")

FEW = {
    **SMALL,
    "steps": 100,
    "batch": 256,
    "buffer_features": 10_000,
    "views_per_image": 1,
    "map_points": 300,
}


def test_a_killed_worker_of_ray_is_replaced_and_all_chunks_arrive(
    simulated_scene: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    killed: list[int] = []

    def workers() -> list[tuple[str, int]]:
        found = re.findall(r"chunk (\d+) trains in process (\d+)", caplog.text)
        return [(number, int(pid)) for number, pid in found]

    def on_progress(progress: Progress) -> None:
        if progress.phase == "train" and not killed:
            killed.append(workers()[-1][1])
            os.kill(killed[0], signal.SIGKILL)

    config = override(TrainingConfig(), FEW)
    path = tmp_path / "place.safetensors"
    made = train_place(
        load_scene(simulated_scene), config, path, 3, "cpu", on_progress, threads=1, ray_address="local"
    )
    assert killed and made.missing == {}
    assert len(SceneMap.load(path).chunks) == 3
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    places = workers()
    assert len({pid for _, pid in places}) >= 2
    again = [number for number, pid in places if pid == killed[0]][-1]
    assert len({pid for number, pid in places if number == again}) >= 2  # that chunk ran a second time


def test_a_cluster_that_is_not_there_or_cannot_do_it_is_named(simulated_scene: Path, tmp_path: Path) -> None:
    scene, config = load_scene(simulated_scene), override(TrainingConfig(), FEW)
    with pytest.raises(ConfigError, match="no Ray cluster at 'auto'"):
        train_place(scene, config, tmp_path / "m", 2, "cpu", ray_address="auto")
    with pytest.raises(ConfigError, match="device 'cuda' is on none of the 1 machines"):
        train_place(scene, config, tmp_path / "m", 2, "cuda", ray_address="local")
    assert list(tmp_path.iterdir()) == []
