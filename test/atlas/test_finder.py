# SPDX-License-Identifier: Apache-2.0
"""Which place an image shows: found, unknown or ambiguous, and never wrong with confidence."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from wall_scene import paint, photograph, pose

from ace_ros.atlas import finder as place_finder
from ace_ros.atlas.finder import Finding, Hint, PlaceFinder
from ace_ros.atlas.folder import add_maps
from ace_ros.config import AtlasConfig
from ace_ros.data.scene import Frame, load_scene, read_grey
from ace_ros.errors import CameraError, MapError
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.maps.global_descriptor import SIZE
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.encoder_file import load_encoder
from ace_ros.pnp import Reason
from support import Trained, elsewhere

Build = Callable[..., PlaceFinder]


def blurred(scene_map: SceneMap, noise: float) -> SceneMap:
    """Return a map of a place that only partly looks the same: fewer of its points are right."""
    torch.manual_seed(3)
    (chunk,) = scene_map.chunks
    head = copy.deepcopy(chunk.head)
    with torch.no_grad():
        head.output.weight += noise * head.output.weight.std() * torch.randn_like(head.output.weight)
    return replace(scene_map, chunks=(replace(chunk, head=head),))


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return a function that makes an atlas of maps by their names, and its finder."""

    def build(config: AtlasConfig | None = None, map_frame: str = "{name}", **maps: SceneMap) -> PlaceFinder:
        paths = []
        for name, scene_map in maps.items():
            paths.append(tmp_path / f"{name}.safetensors")
            scene_map.save(paths[-1])
        add_maps(tmp_path / "atlas", paths, map_frame=map_frame)
        return PlaceFinder(tmp_path / "atlas", config=config, device="cpu")

    return build


@pytest.fixture(scope="module")
def frames(trained: Trained) -> list[Frame]:
    """Return some test images; the map of the wall alone localizes all."""
    alone = Relocalizer(SceneMap.load(trained.map_path), device="cpu")
    frames = load_scene(trained.scene, "test").frames
    found = [f for f in frames if alone.localize(read_grey(f.image_path), f.camera).ok]
    assert len(found) == len(frames)
    return found[::3]


def show(finder: PlaceFinder, frame: Frame, hint: Hint | None = None) -> Finding:
    return finder.find(read_grey(frame.image_path), frame.camera, hint)


def other_wall(frame: Frame) -> np.ndarray:
    """Return an image of a wall that no map knows."""
    return photograph(paint(seed=77), pose(0.1))


def test_the_place_is_found_among_many(build: Build, trained: Trained, frames: list[Frame]) -> None:
    others = {f"room_{n}": elsewhere(trained.scene_map, n) for n in range(12)}
    finder = build(wall=trained.scene_map, **others)
    alone = Relocalizer(SceneMap.load(trained.map_path), device="cpu")
    for frame in frames:
        found = show(finder, frame)
        assert found.reason is Reason.NONE and found.message == "the image shows wall"
        best = found.trials[0]
        assert (best.place.name, best.place.map_frame, len(found.trials)) == ("wall", "wall", 4)
        assert best.similarity > max(t.similarity for t in found.trials[1:]) + 0.1
        expected = alone.localize(read_grey(frame.image_path), frame.camera)
        assert torch.equal(best.poses.T_map_camera, expected.T_map_camera)


def test_an_image_of_no_place_is_refused(build: Build, trained: Trained, frames: list[Frame]) -> None:
    finder = build(wall=trained.scene_map, room=elsewhere(trained.scene_map, 1))
    for image in (other_wall(frames[0]), np.zeros((240, 320), np.uint8)):
        found = finder.find(image, frames[0].camera)
        assert found.reason is Reason.UNKNOWN_PLACE
        assert sorted(trial.place.name for trial in found.trials) == ["room", "wall"]
        assert found.message.startswith("the image shows no place that was tried (")
        assert not any(trial.ok for trial in found.trials)


def test_twins_are_ambiguous_unless_it_is_known_where_the_robot_is(
    build: Build, trained: Trained, frames: list[Frame]
) -> None:
    finder = build(room_1=trained.scene_map, room_2=trained.scene_map)
    for frame in frames:
        found = show(finder, frame)
        assert found.reason is Reason.AMBIGUOUS_PLACE
        assert sorted(trial.place.name for trial in found.trials) == ["room_1", "room_2"]
        assert "fits more than one place" in found.message
        # The hint says where to begin, not that a twin would not fit as well.
        assert show(finder, frame, Hint(place="room_2")).reason is Reason.AMBIGUOUS_PLACE


@pytest.mark.parametrize(("noise", "reason"), [(0.1, Reason.AMBIGUOUS_PLACE), (0.5, Reason.NONE)])
def test_places_that_only_partly_look_the_same_are_told_apart(
    build: Build, trained: Trained, frames: list[Frame], noise: float, reason: Reason
) -> None:
    other = blurred(trained.scene_map, noise)
    finder = build(room_1=other, room_2=trained.scene_map)
    for frame in frames:
        found = show(finder, frame)
        assert found.trials[0].place.name == "room_2" and found.trials[1].ok
        assert found.reason is reason


def test_twins_in_one_frame_are_told_apart_by_where_the_robot_should_be(
    build: Build, trained: Trained, frames: list[Frame]
) -> None:
    shift = torch.tensor([20.0, 0.0, 0.0], dtype=torch.float64)
    (chunk,) = trained.scene_map.chunks
    chunk = replace(chunk, centre=chunk.centre + shift, bounds=chunk.bounds + shift)
    moved = replace(trained.scene_map, chunks=(chunk,))
    finder = build(map_frame="floor", room_1=trained.scene_map, room_2=moved)
    near = frames[0].T_map_camera[:3, 3] + 0.5
    assert show(finder, frames[0]).reason is Reason.AMBIGUOUS_PLACE
    for name, point in (("room_1", near), ("room_2", near + shift)):
        found = show(finder, frames[0], Hint(map_frame="floor", point=point))
        assert (found.reason, found.trials[0].place.name) == (Reason.NONE, name)
        assert show(finder, frames[0], Hint(name, "floor", point)).trials[0].place.name == name
    between = Hint(map_frame="floor", point=near + 0.5 * shift)
    assert show(finder, frames[0], between).reason is Reason.AMBIGUOUS_PLACE


def test_one_wall_seen_from_two_places_in_one_frame_is_one_answer(
    build: Build, trained: Trained, frames: list[Frame]
) -> None:
    finder = build(map_frame="building", left=trained.scene_map, right=trained.scene_map)
    assert show(finder, frames[0]).reason is Reason.NONE


def test_the_known_place_is_tried_first_and_the_others_if_it_fails(
    build: Build, trained: Trained, frames: list[Frame]
) -> None:
    others = {f"room_{n}": elsewhere(trained.scene_map, n) for n in range(6)}
    finder = build(wall=trained.scene_map, **others)
    found = show(finder, frames[0], Hint(place="wall"))
    assert found.reason is Reason.NONE and len(found.trials) == 1
    found = show(finder, frames[0], Hint(place="room_3"))
    assert found.reason is Reason.NONE and found.trials[0].place.name == "wall"
    assert show(finder, frames[0], Hint(place="nowhere")).reason is Reason.NONE


def test_a_point_in_a_frame_and_a_position_choose_the_candidates(
    build: Build, trained: Trained, frames: list[Frame], tmp_path: Path
) -> None:
    unsigned = replace(trained.scene_map, descriptors=torch.zeros(0, SIZE).half())
    finder = build(wall=unsigned, **{f"room_{n}": elsewhere(trained.scene_map, n) for n in range(6)})
    assert show(finder, frames[0]).reason is Reason.UNKNOWN_PLACE  # it has no descriptor
    here = Hint(map_frame="wall", point=frames[0].T_map_camera[:3, 3])
    assert show(finder, frames[0], here).trials[0].place.name == "wall"
    far = Hint(map_frame="wall", point=frames[0].T_map_camera[:3, 3] + 1000.0)
    assert show(finder, frames[0], far).reason is Reason.UNKNOWN_PLACE
    add_maps(tmp_path / "atlas", [tmp_path / "wall.safetensors"], "", "wall", (48.2, 16.37), replaces=True)
    finder = PlaceFinder(tmp_path / "atlas", device="cpu")
    near = show(finder, frames[0], Hint(position=(48.2005, 16.37)))
    assert near.reason is Reason.NONE and len(near.trials) == 1
    nothing = show(finder, frames[0], Hint(position=(48.3, 16.37)))
    assert nothing.reason is Reason.UNKNOWN_PLACE and nothing.trials == []


def test_an_image_is_encoded_once(build: Build, trained: Trained, frames: list[Frame]) -> None:
    finder = build(wall=trained.scene_map, **{f"room_{n}": elsewhere(trained.scene_map, n) for n in range(3)})
    calls = []
    encoder = finder._encoder.module._encoder
    encoder.register_forward_hook(lambda *_: calls.append(1))
    assert len(show(finder, frames[0]).trials) == 4 and len(calls) == 1
    show(finder, frames[1])
    assert len(calls) == 2


def test_places_used_last_stay_ready_within_the_memory(
    build: Build, trained: Trained, frames: list[Frame]
) -> None:
    size_mb = 2 * trained.map_path.stat().st_size / 1e6
    config = AtlasConfig(place_candidates=1, place_memory_mb=max(1.0, 2.5 * size_mb))
    kept = int(config.place_memory_mb / size_mb)
    finder = build(config, **{f"p{n}": elsewhere(trained.scene_map, n) for n in range(kept + 2)})
    for number in [*range(kept + 1), 1, kept + 1]:
        finder.relocalizer(number)
    assert finder.ready[-2:] == ["p1", f"p{kept + 1}"]
    assert len(finder.ready) <= kept and "p0" not in finder.ready
    assert finder.relocalizer(1) is finder.relocalizer(1)


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_place_that_cannot_be_used_is_told_and_the_others_answer(
    build: Build, trained: Trained, frames: list[Frame], damage: str
) -> None:
    finder = build(wall=trained.scene_map, room=elsewhere(trained.scene_map, 1))
    path = finder.folder / "room.safetensors"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-100])
    for _ in range(2):
        found = show(finder, frames[0])
        assert found.reason is Reason.NONE and found.trials[0].place.name == "wall"
        assert len(found.unusable) == 1 and str(path) in found.message


def test_a_place_that_is_mended_is_used_again(
    build: Build, trained: Trained, frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = build(wall=trained.scene_map)
    path = finder.folder / "wall.safetensors"
    whole = path.read_bytes()
    path.unlink()
    assert show(finder, frames[0]).reason is Reason.UNKNOWN_PLACE
    path.write_bytes(whole)
    assert show(finder, frames[0]).unusable, "a map that cannot be used is not looked at for every image"
    monkeypatch.setattr(place_finder, "RETRY_S", 0.0)
    found = show(finder, frames[0])
    assert found.reason is Reason.NONE and not found.unusable


def test_a_trial_sees_what_the_chunk_sees_that_its_pose_agrees_with(
    build: Build, trained: Trained, frames: list[Frame]
) -> None:
    (best,) = show(build(wall=trained.scene_map), frames[0]).trials
    assert best.ok and torch.equal(best.seen, best.found.points)
    elsewhere = best.found.points + 40.0  # as another chunk explains the image
    for row in range(3):
        points = [elsewhere, elsewhere, elsewhere]
        points[row] = best.found.points
        trial = replace(best, found=replace(best.found, points=torch.cat(points)))
        assert torch.equal(trial.seen, best.found.points)


def test_what_cannot_be_used_at_all(
    build: Build, trained: Trained, frames: list[Frame], tmp_path: Path
) -> None:
    finder = build(wall=trained.scene_map)
    with pytest.raises(CameraError, match="camera_info says 320x240"):
        finder.find(np.zeros((100, 100), np.uint8), frames[0].camera)
    with pytest.raises(CameraError, match="uint8"):
        finder.find(np.zeros((240, 320)), frames[0].camera)
    wrong = replace(load_encoder("lite"), content_hash="0" * 16)
    with pytest.raises(MapError, match="the one here has 0000000000000000"):
        PlaceFinder(finder.folder, encoder=wrong, device="cpu")
    with pytest.raises(MapError, match="cannot be read"):
        PlaceFinder(tmp_path, device="cpu")
