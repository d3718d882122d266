# SPDX-License-Identifier: Apache-2.0
"""The localizer with a map of several chunks: what is missing, what looks alike, what is expected."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

pytest.importorskip("rclpy")

from graph import Graph, Robot, base_at, wait_for
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from safetensors.torch import load_file
from std_srvs.srv import Trigger

from ace_ros.data.scene import Frame, load_scene
from ace_ros.maps.scene_map import Chunk, SceneMap
from ace_ros.msg import LocalizationStatus
from ace_ros.nodes.conversions import stamp_ns
from ace_ros.srv import LoadMap
from support import Trained, elsewhere

Status = LocalizationStatus


def shifted(chunk: Chunk, metres: float) -> Chunk:
    shift = torch.tensor([metres, 0.0, 0.0], dtype=torch.float64)
    own = copy.deepcopy(chunk)  # a file has no two tensors in one memory
    return replace(own, centre=own.centre + shift, bounds=own.bounds + shift)


def write_map(path: Path, *parts: SceneMap) -> None:
    """Write a map whose chunks are those of maps, 50 m apart."""
    chunks = tuple(shifted(part.chunks[0], 50.0 * number) for number, part in enumerate(parts))
    replace(parts[0], chunks=chunks).save(path)


def change_a_bit(path: Path, chunk: int) -> None:
    data = bytearray(path.read_bytes())
    data[data.find(load_file(path)[f"head.{chunk}.output.weight"].numpy().tobytes()) + 7] ^= 0x10
    path.write_bytes(data)


class Localizer:
    """A localizer process with maps of its own, and the robot that it looks for."""

    def __init__(self, graph: Graph, start_node: Any, trained: Trained, folder: Path) -> None:
        self.graph = graph
        wall, other = trained.scene_map, elsewhere(trained.scene_map, 1)
        (folder / "maps").mkdir()
        write_map(folder / "maps" / "damaged.safetensors", wall, other)
        change_a_bit(folder / "maps" / "damaged.safetensors", 1)
        twin = copy.deepcopy(wall)  # knows a little less, so that one of the two is the better one
        weight = twin.chunks[0].head.output.weight
        weight += 0.05 * weight.std() * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
        write_map(folder / "maps" / "twins.safetensors", wall, other, twin)
        self.statuses: list[Any] = graph.collect(Status, "/ace/localization_status")
        self.process = start_node(
            "localizer", data_dir=folder, device="cpu", pose_timeout_s=0.5, lost_after_s=600.0
        )
        self.frames = load_scene(trained.scene, "test").frames
        self.robot = Robot(graph, self.frames[0].camera)
        wait_for("the localizer's first status", lambda: self.statuses, 90.0)
        self.robot.introduce("/ace/localizer")

    @property
    def status(self) -> Any:
        return self.statuses[-1]

    def load(self, name: str) -> Any:
        return self.graph.call(LoadMap, "/ace/load_map", map=name)

    def set(self, name: str, value: Any) -> None:
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        results = self.graph.call(SetParameters, "/ace/localizer/set_parameters", parameters=parameters)
        assert results.results[0].successful, results.results[0].reason

    def show(self, frame: Frame, moved: float = 0.0) -> Any:
        """Show an image; return its status. Odometry says that it was taken `moved` metres along x."""
        self.robot.look(cv2.imread(str(frame.image_path)), base_at(moved) @ frame.T_map_camera)
        stamp = self.robot.stamp

        def found() -> Any:
            return next((s for s in reversed(self.statuses) if stamp_ns(s.header.stamp) == stamp), None)

        status = wait_for("a status of the image", found, 60.0)
        self.process.assert_alive()
        return status

    def known(self) -> list[Frame]:
        """Return the test images that give a pose, whichever chunk it is in."""
        self.set("ambiguous_share", 1.0)
        self.set("gate_distance_m", 1000.0)
        found = [f for f in self.frames if self.show(f).reason == Status.REASON_NONE]
        self.set("ambiguous_share", 0.5)
        self.set("gate_distance_m", 1.0)
        assert len(found) >= 4
        return found


@pytest.fixture(scope="module")
def localizer(
    graph: Graph, start_node: Any, trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> Localizer:
    return Localizer(graph, start_node, trained, tmp_path_factory.mktemp("chunks"))


def test_a_damaged_chunk_is_told_and_the_others_localize(localizer: Localizer) -> None:
    response = localizer.load("damaged")
    sentence = "1 of 2 chunks of the map cannot be used: chunk 1: its contents have changed"
    assert response.success and sentence in response.message
    wait_for("the status of the map", lambda: localizer.status.map_name == "damaged")
    assert localizer.status.chunks_missing == 1 and sentence in localizer.status.message
    for frame in localizer.known():
        status = localizer.show(frame)
        assert (status.state, status.reason) == (Status.LOCALIZED, Status.REASON_NONE)
        assert status.chunks_missing == 1 and sentence in status.message
        assert status.message.startswith("localized: ")


def test_a_map_that_is_whole_misses_nothing(localizer: Localizer) -> None:
    assert "cannot be used" not in localizer.load("twins").message
    wait_for("the status of the map", lambda: localizer.status.map_name == "twins")
    assert localizer.status.chunks_missing == 0 and "cannot be used" not in localizer.status.message


def test_chunks_that_look_alike_are_told_apart_only_by_where_the_robot_was(localizer: Localizer) -> None:
    localizer.load("twins")
    frames = localizer.known()  # the last of them left the robot in the better one
    for frame in frames:
        status = localizer.show(frame)
        assert (status.state, status.reason) == (Status.LOCALIZED, Status.REASON_NONE), status.message
    # Odometry says that it is in neither.
    assert localizer.show(frames[0], moved=20.0).reason == Status.REASON_AMBIGUOUS_PLACE
    future = localizer.graph.begin_call(Trigger, "/ace/relocalize")
    while not future.done():
        status = localizer.show(frames[0])
    assert not future.result().success
    status = localizer.show(frames[0])
    assert (status.state, status.reason) == (Status.LOST, Status.REASON_AMBIGUOUS_PLACE)
    assert status.message == "the image fits more than one place of the map"
    assert status.inliers > 50


def test_the_node_ends_in_order(localizer: Localizer) -> None:
    assert localizer.process.stop() == 0
    assert "Traceback" not in localizer.process.output
