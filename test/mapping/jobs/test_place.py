# SPDX-License-Identifier: Apache-2.0
"""Chunks trained one after the other in this process: one map of all, whatever fails."""

from __future__ import annotations

import logging
import math
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ace_ros.compute.process import limit_threads
from ace_ros.config import TrainingConfig, override
from ace_ros.data.scene import Scene, load_scene
from ace_ros.errors import AceError, ConfigError, TrainingError
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.jobs.board import ProgressBoard
from ace_ros.mapping.jobs.place import MapRequest, Workers, local_devices, map_place
from ace_ros.mapping.jobs.splitting import split_frames
from ace_ros.mapping.map_scene import map_scene
from ace_ros.mapping.poses.refinement import refine_poses
from ace_ros.mapping.progress import Listener, Progress
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.encoder_file import load_encoder
from support import ON_CPU, SMALL

CPU = Workers(torch.device("cpu"))
FEW = {**SMALL, "steps": 30, "batch": 256, "buffer_features": 10_000, "views_per_image": 1, "map_points": 300}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Let equal trainings give equal maps: sums depend on the number of threads."""
    before = torch.get_num_threads()
    limit_threads(1)
    yield
    limit_threads(before)


@pytest.fixture
def scene(simulated_scene: Path) -> Scene:
    return load_scene(simulated_scene)


def test_chunks_one_after_the_other_become_one_map(scene: Scene, tmp_path: Path) -> None:
    reports: list[Progress] = []
    path = tmp_path / "new" / "place.safetensors"
    config = override(TrainingConfig(), FEW)
    made = map_place(scene, config, MapRequest(path, 3, "hall"), CPU, Listener(reports.append))
    loaded = SceneMap.load(path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert len(loaded.chunks) == 3 and loaded.map_frame == "hall" and not loaded.missing
    for a, b in zip(made.chunks, loaded.chunks, strict=True):
        assert torch.equal(a.centre, b.centre)
    assert loaded.training["steps"] == 90 and loaded.training["batch"] == FEW["batch"]
    frames = [figures["frames"] for figures in loaded.training["chunks"]]
    assert len(frames) == 3 and sum(frames) >= 24 and min(frames) >= 6
    shares = [p.progress for p in reports]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0, abs=1e-6)
    assert reports[-1].step == reports[-1].steps == 90


def test_a_chunk_is_what_a_map_of_its_frames_alone_is(scene: Scene, tmp_path: Path) -> None:
    config = override(TrainingConfig(), FEW)
    both = map_place(scene, config, MapRequest(tmp_path / "both", 2), CPU)
    part = split_frames(torch.stack([f.T_map_camera for f in scene.frames]), 2, config.ray_depth_m)[1]
    alone, _ = map_scene(replace(scene, frames=tuple(scene.frames[i] for i in part)), config, ON_CPU)
    expected = {k: v.half().float() for k, v in alone.chunks[0].head.state_dict().items()}
    found = both.chunks[1].head.state_dict()
    assert all(torch.equal(found[k], expected[k]) for k in expected)


def test_poses_are_refined_of_the_place_as_a_whole(scene: Scene, tmp_path: Path) -> None:
    shutil.copytree(scene.folder, tmp_path / "scene")
    for number, frame in enumerate(scene.frames):
        T = frame.T_map_camera.clone()
        T[:2, 3] += 0.05 * torch.tensor([math.sin(number / 4), math.cos(number / 4)])
        np.savetxt(tmp_path / "scene" / "train" / "poses" / f"{frame.image_path.stem}.txt", T.numpy())
    drifting, reports = load_scene(tmp_path / "scene"), []
    config = override(TrainingConfig(), {**FEW, "refine_poses": True})
    path = tmp_path / "place.safetensors"
    map_place(drifting, config, MapRequest(path, 2), CPU, Listener(reports.append))
    place = SceneMap.load(path)
    refined = refine_poses(EncodedImages(drifting.frames, load_encoder("lite"), torch.device("cpu")))
    assert place.drive is not None and refined.explained > refined.explained_before
    torch.testing.assert_close(place.drive, refined.drive(drifting.frames))
    assert place.training["refinement"] == refined.figures() and place.training["refine_poses"]
    part = split_frames(torch.stack([f.T_map_camera for f in drifting.frames]), 2, config.ray_depth_m)[1]
    frames = refined.apply(drifting.frames)
    alone, _ = map_scene(
        replace(drifting, frames=tuple(frames[i] for i in part)), override(TrainingConfig(), FEW), ON_CPU
    )
    expected = {k: v.half().float() for k, v in alone.chunks[0].head.state_dict().items()}
    assert all(torch.equal(place.chunks[1].head.state_dict()[k], expected[k]) for k in expected)
    shares = [p.progress for p in reports]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0, abs=1e-6)


def test_a_chunk_that_fails_is_missing_and_named(scene: Scene, tmp_path: Path) -> None:
    broken = tmp_path / "scene"
    shutil.copytree(scene.folder, broken)
    for frame in range(8):  # a part of the place where the robot only turned
        pose = broken / "train" / "poses" / f"{frame:04d}.txt"
        T = np.loadtxt(pose)
        T[:3, 3] = 50.0, 0.0, 0.0
        np.savetxt(pose, T)
    config = override(TrainingConfig(), FEW)
    made = map_place(load_scene(broken), config, MapRequest(tmp_path / "place", 3), CPU)
    (number,) = made.missing
    assert "all 8 cameras are at one position" in made.missing[number]
    loaded = SceneMap.load(tmp_path / "place")
    assert len(loaded.chunks) == 2 and "at one position" in loaded.missing[number]
    assert float(loaded.bounds[1, 0]) < 25.0


def test_nothing_is_written_when_no_chunk_can_be_trained(scene: Scene, tmp_path: Path) -> None:
    config = override(TrainingConfig(), {**FEW, "encoder": str(tmp_path / "none.safetensors")})
    with pytest.raises(TrainingError, match=r"no chunk could be trained; the first: .*none\.safetensors"):
        map_place(scene, config, MapRequest(tmp_path / "place", 2), CPU)
    assert list(tmp_path.iterdir()) == []


def test_the_progress_of_all_chunks_is_told_as_one() -> None:
    told: list[Progress] = []
    board = ProgressBoard(4, told.append)
    board.update(0, Progress("prepare", 0.1, 0, 100, 1.0, 9.0))
    assert (told[-1].progress, told[-1].steps) == (pytest.approx(0.025), 400)
    assert math.isnan(told[-1].median_error_px)
    board.update(0, Progress("train", 1.0, 80, 80, 1.0, 0.0, 2.0, 0.5))
    board.update(2, Progress("train", 0.5, 50, 100, 1.0, 1.0, 4.0, 0.3))
    assert (told[-1].progress, told[-1].step, told[-1].steps) == (pytest.approx(0.375), 130, 360)
    assert (told[-1].median_error_px, told[-1].inlier_share) == (3.0, 0.4)


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_a_named_device_is_the_only_one_and_auto_is_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    pretend_gpus(monkeypatch, 0)
    assert local_devices(cpu) == local_devices(None) == [cpu]
    pretend_gpus(monkeypatch, 3)
    assert local_devices(cpu) == [cpu]
    assert local_devices(None) == local_devices(gpu) == [torch.device("cuda", i) for i in range(3)]
    assert local_devices(torch.device("cuda:1")) == [torch.device("cuda:1")]
    with pytest.raises(ConfigError, match="device 'cuda:3' is not there"):
        local_devices(torch.device("cuda:3"))


def test_without_ray_chunks_are_trained_one_after_the_other_and_a_line_says_so(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    devices = [torch.device("cpu"), torch.device("cpu")]
    monkeypatch.setattr("ace_ros.mapping.jobs.place.local_devices", lambda device: devices)
    caplog.set_level(logging.INFO)
    made = map_place(scene, override(TrainingConfig(), FEW), MapRequest(tmp_path / "place", 2), CPU)
    assert len(made.chunks) == 2 and not made.missing
    assert "2 devices could each train a chunk" in caplog.text and "pip install 'ace_ros[ray]'" in caplog.text
    assert "2 chunks are trained one after the other on cpu, in this process" in caplog.text


def test_a_ray_that_is_asked_for_and_not_installed_is_named(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(AceError, match=r"pip install 'ace_ros\[ray\]'"):
        map_place(scene, TrainingConfig(), MapRequest(tmp_path / "m", 2), replace(CPU, ray_address="auto"))
    assert list(tmp_path.iterdir()) == []
