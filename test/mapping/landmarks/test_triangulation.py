# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from wall_scene import write_wall_scene

from ace_ros.config import TrainingConfig, override
from ace_ros.data.scene import Scene, load_scene
from ace_ros.landmarks.landmarks import EXPECTED_INLIER_RATIO, no_landmarks
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.landmarks.measurement import measure_inlier_ratio, measure_landmarks
from ace_ros.mapping.landmarks.triangulation import LandmarkTracks, follow_landmarks, triangulate
from ace_ros.network.encoder_file import load_encoder

CENTRE = torch.tensor([3.0, 0.5, -0.25], dtype=torch.float64)


@pytest.fixture(scope="module")
def scene(simulated_scene: Path) -> Scene:
    return load_scene(simulated_scene)


def config_of(landmarks: int, landmark_images: int) -> TrainingConfig:
    return override(TrainingConfig(), {"landmarks": landmarks, "landmark_images": landmark_images})


def images_of(scene: Scene) -> EncodedImages:
    return EncodedImages(scene.frames, load_encoder("lite"), torch.device("cpu"))


CONFIG = config_of(3000, 12)


@pytest.fixture(scope="module")
def tracks(scene: Scene) -> LandmarkTracks:
    return follow_landmarks(images_of(scene), CONFIG)


def all_of(scene: Scene) -> Tensor:
    return torch.ones(len(scene.frames), dtype=torch.bool)


def test_landmarks_lie_on_the_wall_that_the_images_show(scene: Scene, tracks: LandmarkTracks) -> None:
    found = triangulate(tracks, all_of(scene), CENTRE, CONFIG)
    assert 500 < len(found) <= 3000
    assert found.features.shape == (len(found), 128)
    off = (found.points[:, 0].double() + CENTRE[0] - 3.0).abs()  # the wall is the plane x = 3
    assert float(off.median()) < 0.04 and float(off.quantile(0.95)) < 0.2


def test_a_video_of_images_close_together_is_measured_as_well(tmp_path: Path) -> None:
    write_wall_scene(tmp_path / "video", frames=160, test_frames=1)
    scene = load_scene(tmp_path / "video")
    config = config_of(3000, 8)
    found = triangulate(follow_landmarks(images_of(scene), config), all_of(scene), CENTRE, config)
    off = (found.points[:, 0].double() + CENTRE[0] - 3.0).abs()
    assert len(found) > 500 and float(off.median()) < 0.04


def test_images_that_are_held_out_give_no_landmarks(scene: Scene, tracks: LandmarkTracks) -> None:
    usable = all_of(scene)
    usable[: len(usable) // 2] = False
    found = triangulate(tracks, usable, CENTRE, CONFIG)
    cameras = torch.stack([f.T_map_camera[:3, 3] for f in scene.frames]) - CENTRE
    nearest = torch.cdist(found.seen_from.double(), cameras).min(1)
    assert len(found) > 100
    assert float(nearest.values.max()) < 1e-5
    assert usable[nearest.indices].all()


def test_the_best_landmarks_are_kept_and_the_choice_is_the_same_every_time(scene: Scene) -> None:
    config = config_of(200, 6)
    first, second = (follow_landmarks(images_of(scene), config) for _ in range(2))
    one, two = (triangulate(t, all_of(scene), CENTRE, config) for t in (first, second))
    assert len(one) == 200
    assert torch.equal(one.points, two.points) and torch.equal(one.features, two.features)


def test_no_landmarks_are_measured_when_none_are_wanted(scene: Scene) -> None:
    config = override(TrainingConfig(), {"landmarks": 0})
    tracks = follow_landmarks(images_of(scene), config)
    assert triangulate(tracks, all_of(scene), CENTRE, config).features.shape == (0, 128)


def test_a_camera_that_only_turns_measures_nothing(scene: Scene) -> None:
    config = config_of(500, 4)
    still = replace(scene, frames=scene.frames[:1] * 4)
    tracks = follow_landmarks(images_of(still), config)
    assert len(triangulate(tracks, all_of(still), CENTRE, config)) == 0


def test_the_expected_inlier_ratio_is_measured_on_other_images(scene: Scene, tracks: LandmarkTracks) -> None:
    images = images_of(scene)
    left_out = torch.arange(len(scene.frames)) % 5 == 2
    marks = triangulate(tracks, ~left_out, CENTRE, CONFIG)
    share = measure_inlier_ratio(marks, CENTRE, images, left_out)
    assert 0.4 < share < 0.95
    others = replace(marks, features=marks.features.flip(0))
    assert measure_inlier_ratio(others, CENTRE, images, left_out) < 0.3 * share
    assert measure_inlier_ratio(marks, CENTRE, images, torch.zeros_like(left_out)) == EXPECTED_INLIER_RATIO


def test_landmarks_of_a_map_keep_the_ratio_of_images_that_had_no_part_in_them(
    scene: Scene, tracks: LandmarkTracks
) -> None:
    images, nothing = images_of(scene), torch.zeros(len(scene.frames), dtype=torch.bool)
    held = nothing.clone()
    held[8:11] = True
    for chosen, left_out in ((held, held), (nothing, torch.arange(len(scene.frames)) % 5 == 2)):
        measured = measure_landmarks(tracks, images, chosen, CENTRE, CONFIG)
        without = triangulate(tracks, ~left_out, CENTRE, CONFIG)
        assert torch.equal(measured.of_learned.points, without.points)
        assert torch.equal(measured.of_all.points, triangulate(tracks, all_of(scene), CENTRE, CONFIG).points)
        ratio = measure_inlier_ratio(without, CENTRE, images, left_out)
        assert measured.of_all.expected_inlier_ratio == pytest.approx(ratio, abs=1e-4)
        assert measured.of_learned.expected_inlier_ratio == measured.of_all.expected_inlier_ratio


def test_a_place_without_a_landmark_has_the_ratio_of_all_places(scene: Scene) -> None:
    images = images_of(scene)
    assert measure_inlier_ratio(no_landmarks(128), CENTRE, images, all_of(scene)) == EXPECTED_INLIER_RATIO
