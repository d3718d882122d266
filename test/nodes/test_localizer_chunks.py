# SPDX-License-Identifier: Apache-2.0
"""The localizer with a map of several chunks: what is missing, what looks alike, what is expected."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("rclpy")

from graph import Graph, base_at, wait_for
from localizer_process import Localizer, picture
from safetensors.torch import load_file
from std_srvs.srv import Trigger

from ace_ros.data.scene import Frame
from ace_ros.maps.scene_map import Chunk, SceneMap
from ace_ros.msg import LocalizationStatus
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


class ChunksLocalizer(Localizer):
    """A localizer with maps of its own."""

    def __init__(self, graph: Graph, start_node: Any, trained: Trained, folder: Path) -> None:
        wall, other = trained.scene_map, elsewhere(trained.scene_map, 1)
        (folder / "maps").mkdir()
        write_map(folder / "maps" / "damaged.safetensors", wall, other)
        change_a_bit(folder / "maps" / "damaged.safetensors", 1)
        twin = copy.deepcopy(wall)  # knows a little less, so that one of the two is the better one
        weight = twin.chunks[0].head.output.weight
        weight += 0.05 * weight.std() * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
        write_map(folder / "maps" / "twins.safetensors", wall, other, twin)
        process = start_node(
            "localizer", data_dir=folder, device="cpu", pose_timeout_s=0.5, lost_after_s=600.0
        )
        super().__init__(graph, process, trained.scene)

    def look(self, frame: Frame, moved: float = 0.0) -> Any:
        """Show a test image; odometry says that it was taken `moved` metres along x."""
        return self.show(picture(frame), base_at(moved) @ frame.T_map_camera)

    def known(self) -> list[Frame]:
        """Return the test images that give a pose, whichever chunk it is in."""
        self.set("ambiguous_share", 1.0)
        self.set("gate_distance_m", 1000.0)
        found = [f for f in self.frames if self.look(f).reason == Status.REASON_NONE]
        self.set("ambiguous_share", 0.5)
        self.set("gate_distance_m", 1.0)
        assert len(found) >= 4
        return found


@pytest.fixture(scope="module")
def localizer(
    graph: Graph, start_node: Any, trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> ChunksLocalizer:
    return ChunksLocalizer(graph, start_node, trained, tmp_path_factory.mktemp("chunks"))


def test_a_damaged_chunk_is_told_and_the_others_localize(localizer: ChunksLocalizer) -> None:
    response = localizer.load("damaged")
    sentence = "1 of 2 chunks of the map cannot be used: chunk 1: its contents have changed"
    assert response.success and sentence in response.message
    wait_for("the status of the map", lambda: localizer.status.map_name == "damaged")
    assert localizer.status.chunks_missing == 1 and sentence in localizer.status.message
    for frame in localizer.known():
        status = localizer.look(frame)
        assert (status.state, status.reason) == (Status.LOCALIZED, Status.REASON_NONE)
        assert status.chunks_missing == 1 and sentence in status.message
        assert status.message.startswith("localized: ")


def test_a_map_that_is_whole_misses_nothing(localizer: ChunksLocalizer) -> None:
    assert "cannot be used" not in localizer.load("twins").message
    wait_for("the status of the map", lambda: localizer.status.map_name == "twins")
    assert localizer.status.chunks_missing == 0 and "cannot be used" not in localizer.status.message


def test_chunks_that_look_alike_are_told_apart_by_where_the_robot_was(localizer: ChunksLocalizer) -> None:
    localizer.load("twins")
    frames = localizer.known()  # the last of them left the robot in the better one
    for frame in frames:
        status = localizer.look(frame)
        assert (status.state, status.reason) == (Status.LOCALIZED, Status.REASON_NONE), status.message
    # Odometry says that it is in neither.
    assert localizer.look(frames[0], moved=20.0).reason == Status.REASON_AMBIGUOUS_PLACE
    future = localizer.graph.begin_call(Trigger, "/ace/relocalize")
    while not future.done():
        status = localizer.look(frames[0])
    assert not future.result().success
    status = localizer.look(frames[0])
    assert (status.state, status.reason) == (Status.LOST, Status.REASON_AMBIGUOUS_PLACE)
    assert status.message == "the image fits more than one place of the map"
    assert status.inliers > 50


def test_the_node_ends_in_order(localizer: ChunksLocalizer) -> None:
    assert localizer.process.stop() == 0
    assert "Traceback" not in localizer.process.output
