# SPDX-License-Identifier: Apache-2.0
"""The localizer with an atlas: which place it is in, in whose frame, and when it cannot say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from graph import Graph, wait_for
from localizer_process import Localizer, picture
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from wall_scene import paint, photograph, pose

from ace_ros.atlas.folder import add_maps
from ace_ros.msg import LocalizationStatus
from ace_ros.srv import LoadMap
from support import Trained, elsewhere

Status = LocalizationStatus
MANY = QoSProfile(depth=200)


class AtlasLocalizer(Localizer):
    """A localizer with atlases of its own."""

    def __init__(self, graph: Graph, start_node: Any, trained: Trained, folder: Path) -> None:
        self.maps = folder / "maps"
        wall, other = folder / "wall.safetensors", folder / "office.safetensors"
        trained.scene_map.save(wall)
        elsewhere(trained.scene_map, 1).save(other)
        # Two floors, each with a frame of its own; and two rooms that look the same.
        add_maps(self.maps / "building", [wall, other], map_frame="map_{name}")
        for name in ("room_1", "room_2"):
            add_maps(self.maps / "hotel", [wall], name, f"map_{name}")
        self.clouds: list[Any] = graph.collect(PointCloud2, "/ace/map_cloud")
        process = start_node(
            "localizer", data_dir=folder, device="cpu", map="building", pose_timeout_s=0.5,
            lost_after_s=600.0, tf_rate_hz=100.0,  # its timer often runs while an image is answered
        )  # fmt: skip
        super().__init__(graph, process, trained.scene)

    def show_frames(self) -> list[Any]:
        return [self.show(picture(f), f.T_map_camera) for f in self.frames]


@pytest.fixture(scope="module")
def localizer(
    graph: Graph, start_node: Any, trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> AtlasLocalizer:
    return AtlasLocalizer(graph, start_node, trained, tmp_path_factory.mktemp("atlases"))


def test_the_place_is_found_and_its_frame_is_used(localizer: AtlasLocalizer) -> None:
    assert (localizer.status.state, localizer.status.map_name) == (Status.LOST, "building")
    assert (localizer.status.place, localizer.status.header.frame_id) == ("", "")
    found = [s for s in localizer.show_frames() if s.reason == Status.REASON_NONE]
    assert len(found) == len(localizer.frames)
    assert {(s.state, s.place, s.header.frame_id) for s in found} == {(Status.LOCALIZED, "wall", "map_wall")}
    wait_for("the poses", lambda: len(localizer.poses) == len(found))
    assert {p.header.frame_id for p in localizer.poses} == {"map_wall"}
    cloud = wait_for("the cloud of the place", lambda: localizer.clouds and localizer.clouds[-1])
    assert cloud.header.frame_id == "map_wall" and cloud.width > 0

    def corrections() -> list[str]:
        transforms = [t for message in list(localizer.tf) for t in message.transforms]
        return [t.header.frame_id for t in transforms if t.child_frame_id == "odom"]

    wait_for("map_wall -> odom", lambda: "map_wall" in corrections())
    assert set(corrections()) == {"map_wall"}


def test_being_found_is_told_by_the_image_alone(localizer: AtlasLocalizer) -> None:
    assert localizer.load("building").success
    seen = len(localizer.statuses)
    answers = localizer.show_frames()
    told = [s for s in localizer.statuses[seen:] if s.state == Status.LOCALIZED]
    assert len(told) == len([s for s in answers if s.state == Status.LOCALIZED]) > 0
    assert all(s.message.startswith("localized") for s in told if s.reason == Status.REASON_NONE)


def test_an_image_of_no_place_is_told(localizer: AtlasLocalizer) -> None:
    status = localizer.show(photograph(paint(seed=77), pose(0.1)), localizer.frames[0].T_map_camera)
    assert status.reason == Status.REASON_UNKNOWN_PLACE
    assert "shows no place that was tried" in status.message and "office" in status.message
    assert status.points > 0 and status.inlier_share < 0.1


def test_a_place_that_cannot_be_used_is_told_and_the_others_localize(localizer: AtlasLocalizer) -> None:
    (localizer.maps / "building" / "office.safetensors").write_bytes(b"damaged")
    response = localizer.load("building")
    assert response.success and (response.map_frame, response.place) == ("", ""), response.message
    found = [s for s in localizer.show_frames() if s.reason == Status.REASON_NONE]
    assert {s.place for s in found} == {"wall"}
    assert "office.safetensors" in found[0].message


def test_twins_are_ambiguous_until_somebody_says_which_one(localizer: AtlasLocalizer) -> None:
    assert localizer.load("hotel").success
    statuses = localizer.show_frames()
    assert {s.state for s in statuses} == {Status.LOST} and {s.place for s in statuses} == {""}
    assert Status.REASON_AMBIGUOUS_PLACE in {s.reason for s in statuses}
    assert Status.REASON_NONE not in {s.reason for s in statuses}
    assert any("room_1" in s.message and "room_2" in s.message for s in statuses)
    response = localizer.load("hotel", "room_2")
    assert (response.success, response.map_frame, response.place) == (True, "map_room_2", "room_2")
    found = [s for s in localizer.show_frames() if s.reason == Status.REASON_NONE]
    assert {(s.map_name, s.place, s.header.frame_id) for s in found} == {("hotel", "room_2", "map_room_2")}


def test_an_atlas_or_a_place_that_is_not_there_leaves_the_old_one(localizer: AtlasLocalizer) -> None:
    assert localizer.load("hotel", "room_1").success
    for name, place, sentence in (
        ("hotel", "room_3", "no place 'room_3'"),
        ("motel", "", "there is no such map"),
        (str(localizer.maps.parent / "wall.safetensors"), "room_1", "is a single map"),
    ):
        response = localizer.load(name, place)
        assert (response.success, response.result) == (False, LoadMap.Response.NOT_FOUND)
        assert sentence in response.message
        assert (response.map_frame, response.place) == ("map_room_1", "room_1")
    (localizer.maps / "hotel" / "atlas.index").write_bytes(b"damaged")
    response = localizer.load(str(localizer.maps / "hotel"))
    assert (response.success, response.result) == (False, LoadMap.Response.INVALID_MAP)
    assert localizer.status.place == "room_1"


def test_the_node_ends_in_order(localizer: AtlasLocalizer) -> None:
    assert localizer.process.stop() == 0
    assert "Traceback" not in localizer.process.output
