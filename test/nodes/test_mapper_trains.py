# SPDX-License-Identifier: Apache-2.0
"""/ace/train: what it refuses, and every way a training can end."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from graph import Graph, NodeProcess, wait_for
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import SetBool, Trigger
from test_trainer_process import gone
from wall_scene import write_wall_scene

from ace_ros.msg import MappingStatus
from ace_ros.nodes.storage import count_frames
from ace_ros.srv import Train

Result = Train.Response
FRAMES = 24


class Trainer:
    """A mapper process with a short recording on its disk."""

    def __init__(self, graph: Graph, process: NodeProcess, folder: Path) -> None:
        self.graph, self.process, self.folder = graph, process, folder
        self.statuses: list[Any] = graph.collect(MappingStatus, "/ace/mapping_status")
        wait_for("the mapper's first status", lambda: self.statuses, 60.0)

    @property
    def status(self) -> Any:
        return self.statuses[-1]

    def request(self, map_name: str = "room", **fields: Any) -> Any:
        return self.graph.begin_call(Train, "/ace/train", map_name=map_name, **fields)

    def train(self, map_name: str = "room", timeout: float = 120.0, **fields: Any) -> Any:
        response = self.graph.call(Train, "/ace/train", timeout, map_name=map_name, **fields)
        self.process.assert_alive()
        return response

    def begin(self, **fields: Any) -> int:
        """Start a training that would take minutes; return the trainer's process id."""
        response = self.train(time_budget_s=600.0, preset="fast", **fields)
        assert response.success and response.result == Result.STARTED, response.message
        wait_for("progress", lambda: self.is_training() and self.status.elapsed_s > 0, 60.0)
        (pid,) = self.process.children()
        return pid

    def is_training(self) -> bool:
        return self.status.state == MappingStatus.TRAINING

    def cancel(self) -> Any:
        return self.graph.call(Trigger, "/ace/cancel_training")

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "maps").glob("*"))


@pytest.fixture(scope="module")
def trainer(graph: Graph, start_node: Any, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    folder = tmp_path_factory.mktemp("trainer")
    trainer = Trainer(graph, start_node("mapper", data_dir=folder, device="cpu"), folder)
    nothing = trainer.train()
    assert (nothing.success, nothing.result) == (False, Result.NOTHING_RECORDED)
    assert "nothing has been recorded; at least 10 are needed" in nothing.message
    write_wall_scene(folder / "scenes" / "room", frames=FRAMES)
    return trainer


@pytest.mark.parametrize("name", ["", "../room", "a/b", "a.b", "two words", "küche", "x" * 65, "a\n"])
def test_names_that_could_be_paths_are_refused(trainer: Trainer, name: str) -> None:
    response = trainer.train(name)
    assert (response.success, response.result) == (False, Result.INVALID_REQUEST)
    assert "is no plain name" in response.message and trainer.files() == []


@pytest.mark.parametrize(
    ("fields", "result", "sentence"),
    [
        ({"preset": "best"}, Result.INVALID_REQUEST, "preset must be one of fast, standard, accurate"),
        ({"time_budget_s": -1.0}, Result.INVALID_REQUEST, "time_budget_s must be 0 or more"),
        ({"time_budget_s": float("nan")}, Result.INVALID_REQUEST, "time_budget_s must be 0 or more"),
        ({"scene": "../room"}, Result.INVALID_REQUEST, "scene name '../room'"),
        ({"scene": "elsewhere"}, Result.NOTHING_RECORDED, "elsewhere has 0 keyframes"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(
    trainer: Trainer, fields: dict[str, Any], result: int, sentence: str
) -> None:
    response = trainer.train(**fields)
    assert (response.success, response.result) == (False, result)
    assert sentence in response.message


def test_a_single_keyframe_is_not_enough(trainer: Trainer) -> None:
    single = trainer.folder / "scenes" / "single"
    for part in ("rgb", "poses", "calibration"):
        (single / "train" / part).mkdir(parents=True)
        first = min((trainer.folder / "scenes" / "room" / "train" / part).iterdir())
        shutil.copy(first, single / "train" / part)
    response = trainer.train(scene="single")
    assert response.result == Result.NOTHING_RECORDED
    assert "single has 1 keyframes; at least 10 are needed" in response.message
    shutil.rmtree(single)


def test_nothing_is_trained_while_recording(trainer: Trainer) -> None:
    assert trainer.graph.call(SetBool, "/ace/record", data=True).success
    response = trainer.train()
    assert (response.result, response.message) == (
        Result.BUSY, "images are being recorded; stop that first"
    )  # fmt: skip
    assert trainer.graph.call(SetBool, "/ace/record", data=False).success


@pytest.mark.slow
def test_one_training_at_a_time_and_it_can_be_cancelled(trainer: Trainer) -> None:
    assert not trainer.cancel().success
    pid = trainer.begin(map_name="first")
    second = trainer.train("second")
    assert second.result == Result.BUSY and "'first' is being trained already" in second.message
    record = trainer.graph.call(SetBool, "/ace/record", data=True)
    assert not record.success and "'first' is being trained" in record.message
    assert trainer.status.map_name == "first" and 0 < trainer.status.progress < 0.5  # of ten minutes
    cancelled = trainer.cancel()
    assert cancelled.success and "cancelled" in cancelled.message
    wait_for("the end in the status", lambda: trainer.status.state == MappingStatus.IDLE)
    assert "cancelled" in trainer.status.message
    assert gone(pid) and trainer.files() == []


@pytest.mark.slow
def test_a_killed_trainer_is_told_and_the_node_goes_on(trainer: Trainer) -> None:
    future = trainer.request(wait=True, time_budget_s=600.0, preset="fast")
    wait_for("progress", lambda: trainer.is_training() and trainer.status.elapsed_s > 0, 60.0)
    os.kill(trainer.process.children()[0], signal.SIGKILL)
    wait_for("the answer", future.done)
    response = future.result()
    assert (response.success, response.result) == (False, Result.FAILED)
    assert "SIGKILL" in response.message
    wait_for("the state FAILED", lambda: trainer.status.state == MappingStatus.FAILED)
    assert "SIGKILL" in trainer.status.message and trainer.files() == []
    assert count_frames(trainer.folder / "scenes" / "room") == FRAMES


@pytest.mark.slow
def test_a_map_can_be_watched_as_it_grows_and_ends_with_a_grade(trainer: Trainer) -> None:
    clouds = trainer.graph.collect(PointCloud2, "/ace/mapping_cloud")
    response = trainer.train("graded", wait=True, time_budget_s=6.0, preset="fast")
    assert response.success, response.message
    assert response.grade in ("good", "fair", "poor") and response.graded_frames == 2
    assert f"grade: {response.grade}" in response.message
    assert response.recall_10cm_5deg in (0.0, 0.5, 1.0)  # of two images
    assert len(response.weak_places) == (response.recall_10cm_5deg < 0.5)
    wait_for("a cloud", lambda: clouds)
    assert clouds[-1].header.frame_id == "map" and 0 < clouds[-1].width <= 2000
    (trainer.folder / "maps" / "graded.safetensors").unlink()


@pytest.mark.slow
def test_a_full_disk_while_the_map_is_saved_leaves_no_half_map(trainer: Trainer) -> None:
    pid = trainer.process.process.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        response = trainer.train("large", wait=True, time_budget_s=1.0, preset="fast")
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert (response.success, response.result) == (False, Result.FAILED)
    assert "File too large" in response.message and trainer.files() == []
    wait_for("the state FAILED", lambda: trainer.status.state == MappingStatus.FAILED)


@pytest.mark.slow
def test_a_training_ends_with_its_node(trainer: Trainer) -> None:
    pid = trainer.begin(map_name="other")
    assert trainer.process.stop() == 0
    wait_for("the end of the trainer, as its node has ended", lambda: gone(pid))
    assert trainer.files() == []
