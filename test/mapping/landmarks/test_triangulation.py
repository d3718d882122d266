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
from ace_ros.landmarks.landmarks import EXPECTED_INLIER_RATIO
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.landmarks.triangulation import Triangulation, measure_inlier_ratio
from ace_ros.network.encoder_file import load_encoder

CENTRE = torch.tensor([3.0, 0.5, -0.25], dtype=torch.float64)


@pytest.fixture(scope="module")
def scene(simulated_scene: Path) -> Scene:
    return load_scene(simulated_scene)


@pytest.fixture(scope="module")
def triangulation(scene: Scene) -> Triangulation:
    config = override(TrainingConfig(), {"landmarks": 3000, "landmark_images": 12})
    return Triangulation(EncodedImages(scene.frames, load_encoder("lite"), torch.device("cpu")), config)


def all_of(scene: Scene) -> Tensor:
    return torch.ones(len(scene.frames), dtype=torch.bool)


def test_landmarks_lie_on_the_wall_that_the_images_show(scene: Scene, triangulation: Triangulation) -> None:
    found = triangulation.landmarks(all_of(scene), CENTRE, 128)
    assert 500 < len(found) <= 3000
    assert found.features.shape == (len(found), 128)
    off = (found.points[:, 0].double() + CENTRE[0] - 3.0).abs()  # the wall is the plane x = 3
    assert float(off.median()) < 0.04 and float(off.quantile(0.95)) < 0.2


def test_a_video_of_images_close_together_is_measured_as_well(tmp_path: Path) -> None:
    write_wall_scene(tmp_path / "video", frames=160, test_frames=1)
    scene = load_scene(tmp_path / "video")
    config = override(TrainingConfig(), {"landmarks": 3000, "landmark_images": 8})
    found = Triangulation(
        EncodedImages(scene.frames, load_encoder("lite"), torch.device("cpu")), config
    ).landmarks(all_of(scene), CENTRE, 128)
    off = (found.points[:, 0].double() + CENTRE[0] - 3.0).abs()
    assert len(found) > 500 and float(off.median()) < 0.04


def test_images_that_are_held_out_give_no_landmarks(scene: Scene, triangulation: Triangulation) -> None:
    usable = all_of(scene)
    usable[: len(usable) // 2] = False
    found = triangulation.landmarks(usable, CENTRE, 128)
    cameras = torch.stack([f.T_map_camera[:3, 3] for f in scene.frames]) - CENTRE
    nearest = torch.cdist(found.seen_from.double(), cameras).min(1)
    assert len(found) > 100
    assert float(nearest.values.max()) < 1e-5
    assert usable[nearest.indices].all()


def test_the_best_landmarks_are_kept_and_the_choice_is_the_same_every_time(scene: Scene) -> None:
    config = override(TrainingConfig(), {"landmarks": 200, "landmark_images": 6})
    encoder = load_encoder("lite")
    first, second = (
        Triangulation(EncodedImages(scene.frames, encoder, torch.device("cpu")), config) for _ in range(2)
    )
    one, two = (s.landmarks(all_of(scene), CENTRE, 128) for s in (first, second))
    assert len(one) == 200
    assert torch.equal(one.points, two.points) and torch.equal(one.features, two.features)


def test_no_landmarks_are_measured_when_none_are_wanted(scene: Scene) -> None:
    config = override(TrainingConfig(), {"landmarks": 0})
    triangulation = Triangulation(
        EncodedImages(scene.frames, load_encoder("lite"), torch.device("cpu")), config
    )
    assert triangulation.landmarks(all_of(scene), CENTRE, 128).features.shape == (0, 128)


def test_a_camera_that_only_turns_measures_nothing(scene: Scene) -> None:
    config = override(TrainingConfig(), {"landmarks": 500, "landmark_images": 4})
    triangulation = Triangulation(
        EncodedImages(scene.frames[:1] * 4, load_encoder("lite"), torch.device("cpu")), config
    )
    assert len(triangulation.landmarks(torch.ones(4, dtype=torch.bool), CENTRE, 128)) == 0


def test_the_expected_inlier_ratio_is_measured_on_other_images(
    scene: Scene, triangulation: Triangulation
) -> None:
    images = EncodedImages(scene.frames, load_encoder("lite"), torch.device("cpu"))
    left_out = torch.arange(len(scene.frames)) % 5 == 2
    marks = triangulation.landmarks(~left_out, CENTRE, 128)
    share = measure_inlier_ratio(marks, CENTRE, images, left_out)
    assert 0.4 < share < 0.95
    others = replace(marks, features=marks.features.flip(0))
    assert measure_inlier_ratio(others, CENTRE, images, left_out) < 0.3 * share
    assert measure_inlier_ratio(marks, CENTRE, images, torch.zeros_like(left_out)) == EXPECTED_INLIER_RATIO
