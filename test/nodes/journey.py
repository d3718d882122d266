# SPDX-License-Identifier: Apache-2.0
"""What a localizer needs: a map in a data folder; and the way there, a scene that is recorded and trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from graph import Graph, NodeProcess, wait_for
from std_srvs.srv import SetBool

from ace_ros.data.scene import load_scene
from ace_ros.msg import MappingStatus
from ace_ros.srv import Train

MAP_NAME = "place"
MOUNT = {"mount_z_m": 0.5, "mount_pitch_deg": 5.0}
# A played scene may have small steps: every image is to become a keyframe.
EVERY_IMAGE = {"keyframe_distance_m": 0.001, "keyframe_angle_deg": 0.01}


class Place(NamedTuple):
    """A scene, and the data folder of nodes with a map of it, maps/MAP_NAME.safetensors."""

    scene: Path
    data_dir: Path

    @property
    def map_path(self) -> Path:
        return self.data_dir / "maps" / f"{MAP_NAME}.safetensors"


class Learned(NamedTuple):
    """A scene that was recorded and trained through the graph."""

    place: Place
    recorded: Any  # the MappingStatus after recording
    trained: Any  # the response of /ace/train


def learn(
    graph: Graph, start_node: Callable[..., NodeProcess], scene: Path, data_dir: Path, **request: Any
) -> Learned:
    """Play the training images of a scene to a mapper, and train a map."""
    mapper = start_node("mapper", data_dir=data_dir, **EVERY_IMAGE)
    statuses = graph.collect(MappingStatus, "/ace/mapping_status")
    wait_for("the mapper", lambda: statuses, 60.0)
    assert graph.call(SetBool, "/ace/record", data=True).success
    player = start_node("player", scene=scene, rate_hz=6.0, **MOUNT)
    assert player.process.wait(120.0) == 0, player.output
    response = graph.call(SetBool, "/ace/record", data=False)
    assert response.success, response.message
    recorded = wait_for(
        "the end of the recording", lambda: statuses[-1].state == MappingStatus.IDLE and statuses[-1]
    )
    trained = graph.call(Train, "/ace/train", 900.0, map_name=MAP_NAME, wait=True, **request)
    assert trained.success, trained.message
    assert mapper.stop() == 0
    return Learned(Place(scene, data_dir), recorded, trained)


def check(learned: Learned) -> None:
    """Assert that the recording is whole and that the figures of the training are right."""
    frames = len(load_scene(learned.place.scene).frames)
    found = len(load_scene(Path(learned.recorded.scene)).frames)
    assert found == learned.recorded.keyframes == frames, learned.recorded
    path = Path(learned.trained.map_path)
    assert path == learned.place.map_path
    assert learned.trained.map_bytes == path.stat().st_size < 5_000_000
    assert learned.trained.frames == found and learned.trained.steps > 0 and learned.trained.train_s > 0
