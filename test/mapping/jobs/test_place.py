# SPDX-License-Identifier: Apache-2.0
"""Chunks trained one after the other, in processes and on Ray: the same map, whatever dies."""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ace_ros.config import TrainingConfig, override
from ace_ros.data.scene import Scene, load_scene
from ace_ros.errors import AceError, ConfigError, TrainingError
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.jobs.device_workers import train_on_devices
from ace_ros.mapping.jobs.job import ChunkJob
from ace_ros.mapping.jobs.place import ProgressBoard, devices_of, train_place
from ace_ros.mapping.jobs.splitting import split_frames
from ace_ros.mapping.map_scene import Progress, train_map
from ace_ros.mapping.poses.refinement import refine_poses
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.encoder_file import load_encoder
from support import SMALL

FEW = {**SMALL, "steps": 30, "batch": 256, "buffer_features": 10_000, "views_per_image": 1, "map_points": 300}
LONG = {**FEW, "steps": 100}


@pytest.fixture
def scene(simulated_scene: Path) -> Scene:
    return load_scene(simulated_scene)


def jobs_of(scene: Scene, folder: Path, count: int, settings: dict) -> list[ChunkJob]:
    config = override(TrainingConfig(), settings)
    return [
        ChunkJob(n, scene.folder, tuple(range(6 * n, 6 * n + 6)), config, "cpu", 1, "map", folder / f"{n}")
        for n in range(count)
    ]


def test_chunks_one_after_the_other_become_one_map(scene: Scene, tmp_path: Path) -> None:
    reports: list[Progress] = []
    path = tmp_path / "new" / "place.safetensors"
    config = override(TrainingConfig(), FEW)
    made = train_place(scene, config, path, 3, "cpu", reports.append, "hall", threads=1)
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
    both = train_place(scene, config, tmp_path / "both", 2, "cpu", threads=1)
    part = split_frames(torch.stack([f.T_map_camera for f in scene.frames]), 2, config.ray_depth_m)[1]
    alone, _ = train_map(replace(scene, frames=tuple(scene.frames[i] for i in part)), config, "cpu")
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
    train_place(drifting, config, path, 2, "cpu", reports.append, threads=1)
    place = SceneMap.load(path)
    refined = refine_poses(EncodedImages(drifting.frames, load_encoder("lite"), torch.device("cpu")))
    assert place.drive is not None and refined.explained > refined.explained_before
    torch.testing.assert_close(place.drive, refined.drive(drifting.frames))
    assert place.training["refinement"] == refined.figures() and place.training["refine_poses"]
    part = split_frames(torch.stack([f.T_map_camera for f in drifting.frames]), 2, config.ray_depth_m)[1]
    frames = refined.apply(drifting.frames)
    alone, _ = train_map(
        replace(drifting, frames=tuple(frames[i] for i in part)), override(TrainingConfig(), FEW), "cpu"
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
    made = train_place(load_scene(broken), config, tmp_path / "place", 3, "cpu", threads=1)
    (number,) = made.missing
    assert "all 8 cameras are at one position" in made.missing[number]
    loaded = SceneMap.load(tmp_path / "place")
    assert len(loaded.chunks) == 2 and "at one position" in loaded.missing[number]
    assert float(loaded.bounds[1, 0]) < 25.0


def test_nothing_is_written_when_no_chunk_can_be_trained(scene: Scene, tmp_path: Path) -> None:
    config = override(TrainingConfig(), {**FEW, "encoder": str(tmp_path / "none.safetensors")})
    with pytest.raises(TrainingError, match=r"no chunk could be trained; the first: .*none\.safetensors"):
        train_place(scene, config, tmp_path / "place", 2, "cpu", threads=1)
    assert list(tmp_path.iterdir()) == []


def killed_at_first_step(pid_of: Callable[[], int | None]) -> tuple[Callable[..., None], list[int]]:
    """Return a progress callback that kills a worker once, and the list of whom it killed."""
    killed: list[int] = []

    def on_progress(number: int, progress: Progress) -> None:
        pid = pid_of()
        if progress.phase == "train" and not killed and pid:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    return on_progress, killed


def test_processes_share_the_chunks_and_one_that_is_killed_is_tried_again(
    scene: Scene, tmp_path: Path
) -> None:
    jobs = jobs_of(scene, tmp_path, 3, LONG)
    seen: set[int] = set()

    def a_child() -> int | None:
        children = multiprocessing.active_children()
        seen.update(c.pid for c in children if c.pid)
        return children[0].pid if children else None

    on_progress, killed = killed_at_first_step(a_child)
    assert train_on_devices(jobs, ["cpu", "cpu"], on_progress) == {}
    assert len(killed) == 1
    assert len(seen) >= 3  # at least one process for each chunk
    assert len({tuple(SceneMap.load(j.output).chunks[0].centre.tolist()) for j in jobs}) == 3
    assert multiprocessing.active_children() == []


def test_a_chunk_whose_process_always_dies_fails(scene: Scene, tmp_path: Path) -> None:
    (job,) = jobs_of(scene, tmp_path, 1, FEW)
    killed: list[int] = []

    def on_progress(number: int, progress: Progress) -> None:
        for child in multiprocessing.active_children():
            if child.pid and child.pid not in killed:
                killed.append(child.pid)
                os.kill(child.pid, signal.SIGKILL)

    failures = train_on_devices([job], ["cpu"], on_progress)
    assert failures == {0: "its process died 3 times, the last time with exit code -9"}
    assert len(killed) == 3 and not job.output.exists()


def test_what_a_training_says_is_wrong_comes_back_from_its_process(scene: Scene, tmp_path: Path) -> None:
    job = jobs_of(scene, tmp_path, 1, {**FEW, "encoder": "none.safetensors"})[0]
    failures = train_on_devices([job], ["cpu", "cpu"], lambda number, progress: None)
    assert list(failures) == [0] and "none.safetensors" in failures[0]


def test_a_chunk_that_cannot_be_written_says_so_and_is_not_tried_again(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (job,) = jobs_of(scene, tmp_path / "file", 1, FEW)  # no folder, as a full disk is no place
    failures = train_on_devices([job], ["cpu"], lambda number, progress: None)
    assert list(failures) == [0] and "file" in failures[0]


def test_an_interrupted_command_ends_its_processes_and_leaves_nothing(
    simulated_scene: Path, tmp_path: Path
) -> None:
    code = f"""
import sys, ace_ros.mapping.jobs.place as chunks
chunks.devices_of = lambda name: ["cpu", "cpu"]
from ace_ros.cli.parser import main
if __name__ == "__main__":
    sys.exit(main(["map", {str(simulated_scene)!r}, "-o", {str(tmp_path / "m")!r}, "--chunks", "2",
                   "--progress-json"]))
"""
    script = tmp_path.with_suffix(".py")
    script.write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    pids = [int(p) for t in children.parent.parent.glob("*/children") for p in t.read_text().split()]
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143 and "interrupted" in errors and "Traceback" not in errors, errors
    assert list(tmp_path.iterdir()) == []
    ended = time.monotonic() + 10.0
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < ended:
        time.sleep(0.05)
    assert len(pids) >= 2 and not any(Path(f"/proc/{pid}").exists() for pid in pids)


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


def test_a_named_device_is_the_only_one_and_auto_is_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices_of("cpu") == ["cpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert devices_of("auto") == devices_of("cuda") == ["cuda:0", "cuda:1", "cuda:2"]
    assert devices_of("cuda:1") == ["cuda:1"]
    with pytest.raises(ConfigError, match="is not there"):
        devices_of("cuda:3")


def test_a_ray_that_is_not_installed_is_named(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(AceError, match=r"pip install 'ace_ros\[ray\]'"):
        train_place(scene, TrainingConfig(), tmp_path / "m", 2, "cpu", ray_address="auto")
    assert list(tmp_path.iterdir()) == []
