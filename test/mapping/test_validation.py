# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
from dataclasses import replace

import cv2
import pytest
import torch

from ace_ros.config import RansacConfig, TrainingConfig, override
from ace_ros.data.scene import load_scene
from ace_ros.geometry.metrics import normalised_squared_error
from ace_ros.geometry.se3 import from_rotation_translation, so3_exp
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.head import stopping
from ace_ros.mapping.head.stopping import Plateau
from ace_ros.mapping.hold_out import blocks_of, held_out
from ace_ros.mapping.map_scene import map_scene
from ace_ros.mapping.validation import Validation, join_validations, validate, validation_in_words
from ace_ros.maps.scene_map import TYPICAL_COVARIANCE_SCALE, SceneMap
from support import ON_CPU, SMALL, JustTrained, Trained


@pytest.mark.parametrize("images", [24, 25, 40, 117, 500, 20_000])
def test_a_tenth_of_the_images_is_held_out_in_blocks_and_never_the_ends(images: int) -> None:
    chosen = held_out(images, 0.1)
    assert int(chosen.sum()) == min(round(0.1 * images), 200)
    assert not chosen[0] and not chosen[-1]
    lengths = [len(block) for block in blocks_of(chosen)]
    assert len(lengths) == round(math.sqrt(sum(lengths)))
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) > 1 or images < 40


def test_few_images_are_all_learned() -> None:
    assert not held_out(23, 0.1).any()
    assert not held_out(100, 0.0).any()


@pytest.mark.slow
def test_a_map_is_validated_on_images_it_was_not_trained_on(just_trained: JustTrained) -> None:
    trained = just_trained
    validated = trained.scene_map.validation
    assert validated["frames"] == 2  # a tenth of 24
    assert validated["recall"]["10cm_5deg"] == 1.0 and validated["verdict"] == "good"
    assert validated["median_translation_m"] < 0.05
    assert validated["covariance_scale"] >= 1.0
    assert validated["weak_places"] == ()
    assert SceneMap.load(trained.map_path).validation == json.loads(json.dumps(validated))


def test_the_validation_says_where_a_map_is_weak(trained: Trained) -> None:
    frames = list(load_scene(trained.scene).frames)
    chosen = torch.zeros(24, dtype=torch.bool)
    chosen[4:7] = chosen[14:18] = True
    for i in range(14, 18):  # recorded elsewhere than where the image was taken
        T = frames[i].T_map_camera.clone()
        T[0, 3] += 0.5
        frames[i] = replace(frames[i], T_map_camera=T)
    validated = validate(Relocalizer(trained.scene_map, device="cpu"), tuple(frames), chosen)
    assert (validated.frames, validated.localized) == (7, 7)
    assert validated.recall["10cm_5deg"] == pytest.approx(3 / 7) and validated.verdict == "poor"
    (weak,) = validated.weak_places
    assert (weak.first_image, weak.last_image) == ("0014.png", "0017.png")
    assert weak.position == pytest.approx(frames[15].T_map_camera[:3, 3].tolist(), abs=0.2)
    assert validated.covariance_scale > 1.0  # half a metre, and the solver was sure
    words = validation_in_words(validated.to_header())
    assert "grade: poor; 43 % of 7 images" in words and "0014.png to 0017.png: 0 % within" in words


def test_the_factor_is_that_of_the_solver_whatever_the_map_says(trained: Trained) -> None:
    frames = load_scene(trained.scene).frames
    chosen = held_out(len(frames), 0.3)
    off = torch.zeros(4, 4, dtype=torch.float64)
    off[0, 3] = 0.1  # so that the factor is far from the least one
    moved = tuple(replace(f, T_map_camera=f.T_map_camera + off) for f in frames)
    factors = []
    for told in ({}, {"covariance_scale": 2.0}):
        scene_map = replace(trained.scene_map, validation=told)
        factors.append(validate(Relocalizer(scene_map, device="cpu"), moved, chosen).covariance_scale)
    assert factors[0] == pytest.approx(factors[1], rel=1e-6) and factors[0] > 5.0


def test_a_map_that_finds_nothing_is_validated_all_the_same(trained: Trained) -> None:
    relocalizer = Relocalizer(trained.scene_map, RansacConfig(min_inliers=100_000), device="cpu")
    frames = load_scene(trained.scene).frames
    validated = validate(relocalizer, frames, held_out(len(frames), 0.2))
    assert (validated.localized, validated.verdict) == (0, "poor")
    assert validated.covariance_scale == TYPICAL_COVARIANCE_SCALE
    header = validated.to_header()
    assert header["median_translation_m"] is None
    json.dumps(header, allow_nan=False)
    assert "0 % of" in validation_in_words(header)


def test_covariances_grow_to_what_the_held_out_images_showed(trained: Trained) -> None:
    frame = load_scene(trained.scene, "test").frames[0]
    image = cv2.imread(str(frame.image_path))
    validations = ({"covariance_scale": 1.0}, {"covariance_scale": 9.0}, {})
    maps = [replace(trained.scene_map, validation=validation) for validation in validations]
    a, b, c = (Relocalizer(m, device="cpu").localize(image, frame.camera) for m in maps)
    torch.testing.assert_close(b.covariance, 9.0 * a.covariance)
    torch.testing.assert_close(c.covariance, TYPICAL_COVARIANCE_SCALE * a.covariance)
    assert torch.equal(a.T_map_camera, b.T_map_camera)


def test_honest_covariances_have_a_normalised_squared_error_of_six() -> None:
    g = torch.Generator().manual_seed(3)
    count = 4000
    L = torch.randn(6, 6, generator=g, dtype=torch.float64) * 0.02
    error = torch.randn(count, 6, generator=g, dtype=torch.float64) @ L.T
    turn = so3_exp(torch.randn(count, 3, generator=g, dtype=torch.float64))
    T_true = from_rotation_translation(turn, torch.randn(count, 3, generator=g, dtype=torch.float64))
    T = from_rotation_translation(so3_exp(error[:, 3:]) @ turn, T_true[:, :3, 3] + error[:, :3])
    nees = normalised_squared_error(T, (L @ L.T).expand(count, 6, 6), T_true)
    assert float(nees.mean()) == pytest.approx(6.0, rel=0.05)


def test_a_plateau_is_reached_when_a_share_stops_growing() -> None:
    growing, flat = Plateau(), Plateau()
    reached_at = []
    for step in range(100):
        progress = step / 100
        if growing.due(progress):
            growing.add(progress, 0.5 * progress)
        if flat.due(progress):
            flat.add(progress, 0.4 + 0.004 * math.sin(step))  # what batches do to it
        if flat.reached:
            reached_at.append(progress)
    assert not growing.reached
    assert 0.3 <= reached_at[0] <= 0.35


def test_a_head_that_has_hardly_learned_anything_is_on_no_plateau() -> None:
    """A slow processor takes a hundred steps in all, and the loss is wide in the first half of them."""
    slow = Plateau()
    for step in range(100):
        if slow.due(step / 100):
            slow.add(step / 100, 0.0003 * step)
    assert not slow.reached


@pytest.mark.slow
def test_training_ends_early_when_the_held_out_images_gain_no_more(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is ever learned, so nothing is ever gained.
    monkeypatch.setattr(stopping, "LEARNED", -1.0)
    hopeless = {"learning_rate": 1e-6, "hidden_learning_rate": 1e-5, "steps": 400, "views_per_image": 1}
    config = override(TrainingConfig(), {**SMALL, **hopeless, "buffer_features": 20_000})
    scene = load_scene(trained.scene)
    _, early = map_scene(scene, config, ON_CPU)
    _, late = map_scene(scene, replace(config, early_stop=False), ON_CPU)
    assert early.stopped_early and not late.stopped_early
    assert early.steps < 0.65 * late.steps
    assert late.steps == 400


def test_the_validation_of_a_place_is_that_of_all_its_chunks_together() -> None:
    good = Validation("good", 30, 30, 0.01, 0.1, {"10cm_5deg": 1.0}, 2.0, ())
    weak = Validation("poor", 10, 5, 0.05, 0.5, {"10cm_5deg": 0.2}, 7.0, ())
    lost = Validation("poor", 10, 0, math.nan, math.nan, {"10cm_5deg": 0.0}, 1.0, ())
    joined = join_validations([good.to_header(), {}, weak.to_header(), lost.to_header()])
    assert (joined["frames"], joined["localized"], joined["verdict"]) == (50, 35, "fair")
    assert joined["recall"]["10cm_5deg"] == pytest.approx(32 / 50)
    assert joined["median_translation_m"] == pytest.approx((0.3 + 0.25) / 35)
    assert joined["covariance_scale"] == 7.0
    assert join_validations([lost.to_header()])["median_translation_m"] is None
    assert join_validations([{}, {}]) == {}


def test_maps_without_held_out_images_say_so() -> None:
    assert "not graded" in validation_in_words({})
