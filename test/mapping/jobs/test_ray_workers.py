# SPDX-License-Identifier: Apache-2.0
"""Chunks on a Ray of this machine, whose worker processes are real, and are killed."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ace_ros.config import TrainingConfig, override
from ace_ros.data.scene import Scene, load_scene
from ace_ros.errors import ConfigError
from ace_ros.mapping.jobs import place
from ace_ros.mapping.jobs.job import ChunkJob
from ace_ros.mapping.jobs.place import MapRequest, Workers, map_place
from ace_ros.mapping.jobs.ray_workers import (
    LOCAL,
    RayCluster,
    TaskShare,
    ray_is_installed,
    task_share,
    train_on_ray,
)
from ace_ros.mapping.progress import Listener, Progress
from ace_ros.maps.scene_map import SceneMap
from support import SMALL, wait_for

# Not imported here: what is under test sets Ray up before it imports it.
pytestmark = pytest.mark.skipif(
    not ray_is_installed(), reason="Ray is an optional extra: pip install 'ace_ros[ray]'"
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")
HERE = Workers(CPU, threads=1, ray_address=LOCAL)
FEW = {
    **SMALL,
    "steps": 100,
    "batch": 256,
    "buffer_features": 10_000,
    "views_per_image": 1,
    "map_points": 300,
}


@pytest.fixture
def scene(simulated_scene: Path) -> Scene:
    return load_scene(simulated_scene)


@pytest.fixture
def workers(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, int]]]:
    """Return what returns which chunk trained in which process, so far."""
    caplog.set_level(logging.INFO)

    def found() -> list[tuple[str, int]]:
        lines = re.findall(r"chunk (\d+) trains in process (\d+)", caplog.text)
        return [(number, int(pid)) for number, pid in lines]

    return found


def job_of(scene: Scene, output: Path, **settings: object) -> ChunkJob:
    config = override(TrainingConfig(), {**FEW, **settings})
    return ChunkJob(0, scene.folder, tuple(range(6)), config, "map", output)


def wait_for_end(pids: Collection[int]) -> None:
    """Wait until processes are gone."""
    wait_for("the end of all workers", lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_a_killed_worker_is_replaced_and_all_chunks_arrive(
    scene: Scene,
    tmp_path: Path,
    workers: Callable[[], list[tuple[str, int]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    killed: list[int] = []

    def on_progress(progress: Progress) -> None:
        if progress.phase == "train" and not killed:
            killed.append(workers()[-1][1])
            os.kill(killed[0], signal.SIGKILL)

    path = tmp_path / "place.safetensors"
    config = override(TrainingConfig(), FEW)
    made = map_place(scene, config, MapRequest(path, 3), HERE, Listener(on_progress))
    assert killed and made.missing == {}
    assert len({tuple(c.centre.tolist()) for c in SceneMap.load(path).chunks}) == 3
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    places = workers()
    assert len({pid for _, pid in places}) >= 2
    again = [number for number, pid in places if pid == killed[0]][-1]
    assert len({pid for number, pid in places if number == again}) >= 2  # that chunk ran a second time
    wait_for_end({pid for _, pid in places})
    assert capsys.readouterr().out == ""  # stdout belongs to the command's figures


def test_a_chunk_whose_worker_always_dies_fails_and_what_is_wrong_with_others_comes_back(
    scene: Scene, tmp_path: Path, workers: Callable[[], list[tuple[str, int]]]
) -> None:
    (tmp_path / "file").write_text("")
    killed: list[int] = []

    def on_progress(number: int, progress: Progress) -> None:
        own = [pid for chunk, pid in workers() if chunk == "0"]
        if number == 0 and own[-1] not in killed:
            killed.append(own[-1])
            os.kill(own[-1], signal.SIGKILL)

    jobs = [
        job_of(scene, tmp_path / "0", steps=100_000),
        replace(job_of(scene, tmp_path / "1", encoder="none.safetensors"), number=1),
        replace(job_of(scene, tmp_path / "file" / "2"), number=2),  # no folder, as a full disk is no place
    ]
    failures = train_on_ray(jobs, RayCluster(LOCAL, CPU, threads=1), on_progress)
    assert list(failures) and set(failures) == {0, 1, 2}
    assert failures[0].startswith("its worker died 3 times") and len(killed) == 3
    assert "none.safetensors" in failures[1]
    assert "file" in failures[2]
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    # What the training itself says is wrong is final.
    assert all(len({pid for chunk, pid in workers() if chunk == number}) <= 1 for number in ("1", "2"))


def test_several_devices_of_this_machine_are_a_ray_of_its_own(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RayCluster] = []

    def train(jobs: list[ChunkJob], cluster: RayCluster, on_progress: object) -> dict[int, str]:
        asked.append(cluster)
        return {job.number: "not today" for job in jobs}

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(place, "train_on_ray", train)
    jobs = [job_of(scene, tmp_path / "0")] * 2
    for device in (None, GPU):
        place.train_chunks(jobs, Workers(device, threads=6), lambda number, progress: None)
        assert asked.pop() == RayCluster(LOCAL, device, threads=3)


def test_a_task_has_a_gpu_where_there_are_any_and_its_share_of_the_cores() -> None:
    gpus, cores = {"CPU": 16.0, "GPU": 4.0}, {"CPU": 32.0}

    def share(machines: list[dict[str, float]], device: torch.device | None, threads: int = 64) -> TaskShare:
        return task_share(machines, RayCluster("auto", device, threads))

    assert share([gpus, cores], None) == share([gpus], GPU) == TaskShare(GPU, 4, 1)
    assert share([gpus], torch.device("cuda:2"), threads=2) == TaskShare(GPU, 2, 1)
    assert share([{"CPU": 2.0, "GPU": 8.0}], None) == TaskShare(GPU, 1, 1)
    assert share([gpus, cores], CPU) == TaskShare(CPU, 32, 0)
    assert share([cores], None, threads=3) == TaskShare(CPU, 3, 0)
    with pytest.raises(ConfigError, match="device 'cuda' is on none of the 2 machines"):
        share([cores, cores], GPU)
    with pytest.raises(ConfigError, match="no machine of the Ray cluster has a processor core"):
        share([{"GPU": 0.0}], None)


def test_a_cluster_that_is_not_there_is_named(scene: Scene, tmp_path: Path) -> None:
    config, nowhere = override(TrainingConfig(), FEW), Workers(CPU, ray_address="auto")
    with pytest.raises(ConfigError, match="no Ray cluster at 'auto'"):
        map_place(scene, config, MapRequest(tmp_path / "m", 2), nowhere)
    assert list(tmp_path.iterdir()) == []


STRANGER = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
print(ray.get(ray.remote(lambda: "obeyed").remote()))
"""


@pytest.mark.slow  # Ray tries for half a minute before it gives up
def test_a_ray_of_this_machine_obeys_nobody_without_its_token(scene: Scene, tmp_path: Path) -> None:
    answers: list[subprocess.CompletedProcess[str]] = []

    def on_progress(number: int, progress: Progress) -> None:
        if not answers:
            import ray

            environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": 64 * "0"}
            command = [sys.executable, "-c", STRANGER, ray.get_runtime_context().gcs_address]
            answers.append(subprocess.run(command, env=environment, capture_output=True, text=True))

    assert train_on_ray([job_of(scene, tmp_path / "m")], RayCluster(LOCAL, CPU, 1), on_progress) == {}
    (answer,) = answers
    assert answer.returncode == 1 and "obeyed" not in answer.stdout and "Authentication" in answer.stderr


def test_an_interrupted_command_ends_its_processes_and_leaves_nothing(scene: Scene, tmp_path: Path) -> None:
    arguments = ["map", scene.folder, "-o", tmp_path / "m", "--chunks", "2", "--ray-address", LOCAL]
    arguments += ["--device", "cpu", "--threads", "1", "--progress-json", "--verbose"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ace_ros", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()  # the first progress of a worker
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143 and "interrupted" in errors and "Traceback" not in errors, errors
    assert list(tmp_path.iterdir()) == []
    pids = [int(pid) for pid in re.findall(r"trains in process (\d+)", errors)]
    assert pids
    wait_for_end(pids)
