# SPDX-License-Identifier: Apache-2.0
"""Poses of images of which nothing is known but the landmarks of the place."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from painted_wall import CAMERA, DEPTH_M, STRIDE, cells_of, landmarks, pose

from ace_ros.config import RansacConfig
from ace_ros.data.scene import load_scene, read_grey
from ace_ros.evaluation.evaluate import evaluate
from ace_ros.geometry.metrics import pose_error
from ace_ros.landmarks.landmarks import Landmarks
from ace_ros.landmarks.matching import likeness, match_landmarks
from ace_ros.localization import decision
from ace_ros.localization.landmark_search import LandmarkPose, pose_from_landmarks
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.maps.scene_map import Chunk, SceneMap
from ace_ros.network.head import Head
from ace_ros.pnp import Reason
from support import Trained


def without_landmarks(marks: Landmarks) -> Landmarks:
    return Landmarks(marks.points[:0], marks.seen_from[:0], marks.features[:0])


def shuffled(marks: Landmarks) -> Landmarks:
    """Return landmarks that look like those of the wall, but are elsewhere on it."""
    order = torch.randperm(len(marks), generator=torch.Generator().manual_seed(0))
    return replace(marks, features=marks.features[order])


def test_landmarks_are_matched_to_the_cells_that_show_them() -> None:
    marks, cells = landmarks(pose()), cells_of(pose())[0]
    number, cell = match_landmarks(marks, cells)
    assert len(number) > 100 and len(cell.unique()) == len(cell)
    shown = CAMERA.project(marks.points[number].double())
    at = torch.stack([cell % cells.shape[1], cell // cells.shape[1]], -1) * float(STRIDE) + 3.5
    assert float(((at - shown).abs().amax(-1) < STRIDE).double().mean()) > 0.95


@pytest.mark.parametrize("turn_deg", [-12.0, 0.0, 15.0])
def test_a_pose_of_which_nothing_is_known_is_found(turn_deg: float) -> None:
    true = pose(0.3, -0.2, turn_deg)
    found = pose_from_landmarks(landmarks(pose()), CAMERA, cells_of(true)[0], STRIDE, RansacConfig())
    assert found is not None
    metres, radians = pose_error(found.T_local_camera, true)
    assert float(metres) < 0.02 and math.degrees(float(radians)) < 0.3
    sigma = found.covariance.diagonal().sqrt()
    assert (sigma > 0).all() and float(sigma[:3].max()) < 0.05
    assert len(found.points) == len(found.cells) > 60
    torch.testing.assert_close(found.points[:, 2], torch.full((len(found.points),), DEPTH_M).double())


def test_landmarks_that_contradict_each_other_give_none() -> None:
    cells = cells_of(pose())[0]
    assert pose_from_landmarks(shuffled(landmarks(pose())), CAMERA, cells, STRIDE, RansacConfig()) is None
    few = landmarks(pose(), 50)
    assert pose_from_landmarks(few, CAMERA, cells, STRIDE, RansacConfig()) is None


def test_a_place_of_which_a_small_part_looks_the_same_is_not_this_one() -> None:
    """A quarter of the wall is as the image shows it, enough to refine a pose on, and the rest is not."""
    marks, cells = landmarks(pose(), 2000), cells_of(pose())[0]
    other = torch.randn(marks.features.shape, generator=torch.Generator().manual_seed(5)) * 40
    alike = (marks.points[:, 0] < -0.6) & (marks.points[:, 1] < 0.0)
    partly = replace(marks, features=torch.where(alike[:, None], marks.features, other.char()))
    assert int(alike.sum()) > 200
    assert pose_from_landmarks(marks, CAMERA, cells, STRIDE, RansacConfig()) is not None
    assert pose_from_landmarks(partly, CAMERA, cells, STRIDE, RansacConfig()) is None


def test_an_image_looks_most_like_the_chunk_whose_landmarks_it_shows_and_its_twin() -> None:
    cells = cells_of(pose())[0]
    marks = landmarks(pose())
    noise = torch.randn(marks.features.shape, generator=torch.Generator().manual_seed(3)) * 40
    other = replace(marks, features=noise.char())
    found = likeness([other, marks, without_landmarks(marks), marks], cells)
    assert found[1] == found[3] > 5 * found[0] and found[2] == 0


def untrained(chunk: Chunk, seed: int = 0) -> Chunk:
    torch.manual_seed(seed)
    head = Head(chunk.head.channels, chunk.head.width, chunk.head.num_blocks)
    return replace(chunk, head=head.eval().requires_grad_(False))


def test_images_that_the_head_does_not_know_are_found_by_landmarks(trained: Trained) -> None:
    (chunk,), scene = trained.scene_map.chunks, load_scene(trained.scene, "test")
    scene_map = replace(trained.scene_map, chunks=(untrained(chunk),))
    alone = evaluate(scene, Relocalizer(scene_map, device="cpu", use_landmarks=False))
    assert not torch.isfinite(alone.translation_m).any()
    found = evaluate(scene, Relocalizer(scene_map, device="cpu"))
    assert float(torch.isfinite(found.translation_m).double().mean()) > 0.7
    assert float(found.translation_m.nanquantile(0.9)) < 0.03
    assert (found.inliers[torch.isfinite(found.translation_m)] > 60).all()


def test_a_pose_that_landmarks_refute_is_none(trained: Trained) -> None:
    """As of an image of another room, whose doors and windows the head takes for those that it knows."""
    (chunk,), frame = trained.scene_map.chunks, load_scene(trained.scene).frames[5]
    marks, image = chunk.landmarks, read_grey(frame.image_path)
    other = replace(chunk, landmarks=replace(marks, features=marks.features.flip(1)))
    scene_map = replace(trained.scene_map, chunks=(other,))
    assert Relocalizer(scene_map, device="cpu", use_landmarks=False).localize(image, frame.camera).ok.all()
    refuting = Relocalizer(scene_map, device="cpu")
    seen = refuting.predict(image, frame.camera)
    for match in (False, True):
        found = refuting.decide(seen, match)
        assert not found.ok.any() and int(found.reason[0]) == int(Reason.TOO_FEW_INLIERS)
        assert torch.isnan(found.T_map_camera).all() and torch.isnan(found.covariance).all()
    there = frame.T_map_camera[:3, 3]
    for metres, believed in ((0.7, True), (2.0, False)):  # from where odometry has the camera
        expected = there + torch.tensor([metres, 0.0, 0.0])
        assert bool(refuting.localize(image, frame.camera, expected).ok[0]) == believed


def test_of_untrained_chunks_the_right_one_is_found_and_twins_are_ambiguous(trained: Trained) -> None:
    (chunk,), frame = trained.scene_map.chunks, load_scene(trained.scene).frames[5]
    image = read_grey(frame.image_path)
    shift = torch.tensor([20.0, 0.0, 0.0], dtype=torch.float64)
    marks = chunk.landmarks
    twin = replace(untrained(chunk, 1), centre=chunk.centre + shift, bounds=chunk.bounds + shift)
    nothing = replace(twin, landmarks=replace(marks, features=marks.features.flip(1)))
    none = replace(twin, landmarks=without_landmarks(marks))

    def place(*chunks: Chunk) -> SceneMap:
        return replace(trained.scene_map, chunks=chunks)

    for other in (nothing, none):
        found = Relocalizer(place(other, untrained(chunk)), device="cpu").localize(image, frame.camera)
        assert bool(found.ok[0]) and int(found.reason[0]) == int(Reason.NONE)
        assert float(pose_error(found.T_map_camera[0], frame.T_map_camera)[0]) < 0.03
    twins = Relocalizer(place(untrained(chunk), twin), device="cpu")
    both = twins.localize(image, frame.camera)
    assert not bool(both.ok[0]) and int(both.reason[0]) == int(Reason.AMBIGUOUS_PLACE)
    assert not torch.isfinite(both.T_map_camera).any()
    expected = twins.localize(image, frame.camera, frame.T_map_camera[:3, 3] + shift)
    assert float((expected.T_map_camera[0, :3, 3] - frame.T_map_camera[:3, 3] - shift).norm()) < 0.03
    assert not bool(twins.localize(image, frame.camera).ok[0])  # what was expected then is so no more


def test_a_second_chunk_is_asked_only_if_it_may_be_the_right_one(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    (chunk,), frame = trained.scene_map.chunks, load_scene(trained.scene).frames[5]
    image, marks = read_grey(frame.image_path), chunk.landmarks
    own = untrained(chunk)
    noise = torch.randn(marks.features.shape, generator=torch.Generator().manual_seed(3)) * 40
    foreign = replace(untrained(chunk, 1), landmarks=replace(marks, features=noise.char()))
    order = torch.randperm(len(marks), generator=torch.Generator().manual_seed(0))
    elsewhere = replace(untrained(chunk, 2), landmarks=replace(marks, features=marks.features[order]))

    def asked(*chunks: Chunk) -> tuple[int, bool]:
        """Return how many chunks were asked by an image, and whether it has a pose."""
        count = []

        def counted(*arguments: Any) -> LandmarkPose | None:
            count.append(1)
            return pose_from_landmarks(*arguments)

        monkeypatch.setattr(decision, "pose_from_landmarks", counted)
        place = Relocalizer(replace(trained.scene_map, chunks=chunks), device="cpu")
        found = place.localize(image, frame.camera)
        return len(count), bool(found.ok[0])

    assert asked(own, foreign) == (1, True)
    assert asked(own, elsewhere) == (2, True)  # looks the same, and might be a twin
    assert asked(foreign, foreign) == (2, False)
