# SPDX-License-Identifier: Apache-2.0
"""Training a map of a scene."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ace_ros.config import PRESETS, TrainingConfig, override, training_preset
from ace_ros.data.scene import Scene, load_scene
from ace_ros.errors import ConfigError, SceneError
from ace_ros.evaluation.evaluate import evaluate
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.map_scene import MappingSetup, map_scene, step_limit
from ace_ros.maps.global_descriptor import SIZE as DESCRIPTOR_SIZE
from support import ON_CPU, SMALL, JustTrained, Trained

CONFIG = TrainingConfig()


def test_few_images_are_not_learned_by_heart() -> None:
    config = replace(CONFIG, steps=10_000, batch=1000, features_per_image=200_000)
    assert [step_limit(n, config) for n in (1, 20, 50, 1000)] == [200, 4000, 10_000, 10_000]
    exact = training_preset("standard", 60.0)
    assert step_limit(2, exact) == exact.steps  # a time budget is used up, as the user said


def test_presets_are_valid_and_a_time_budget_replaces_the_steps() -> None:
    for name in PRESETS:
        training_preset(name)
    config = training_preset("standard", 12.5)
    assert config.time_budget_s == 12.5 and config.steps >= 1_000_000
    with pytest.raises(ConfigError, match="preset must be one of fast, standard, accurate, got 'best'"):
        training_preset("best")
    with pytest.raises(ConfigError, match="no option 'step'"):
        override(CONFIG, {"step": 3})
    with pytest.raises(ConfigError, match="steps must be at least 1, got 0"):
        override(CONFIG, {"steps": 0})
    with pytest.raises(ConfigError, match="finite"):
        override(CONFIG, {"learning_rate": math.nan})


@pytest.mark.slow
def test_training_makes_a_map_that_explains_the_images(just_trained: JustTrained) -> None:
    trained = just_trained
    assert trained.report.steps == SMALL["steps"]
    assert trained.report.inlier_share > 0.3
    first = next(p for p in trained.progress if p.phase == "train")
    assert trained.report.median_error_px < 0.5 * first.median_error_px
    phases = [p.phase for p in trained.progress]
    assert list(dict.fromkeys(phases)) == ["prepare", "train", "grade"]
    assert phases[-1] == "train"  # the images that were held out
    shares = [p.progress for p in trained.progress]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0, abs=0.06)


def test_the_map_knows_what_its_place_looks_like(trained: Trained) -> None:
    descriptors = trained.scene_map.descriptors.float()
    assert descriptors.shape == (16, DESCRIPTOR_SIZE)
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(16), atol=1e-2, rtol=0)


def test_the_maps_cloud_lies_on_the_wall(trained: Trained) -> None:
    points, grey = trained.scene_map.cloud()
    assert len(points) == len(grey) > 200
    assert np.median(np.abs(points[:, 0] - 3.0)) < 0.15  # the wall is the plane x = 3
    low, high = trained.scene_map.bounds.numpy()
    assert (points >= low - 1e-6).all() and (points <= high + 1e-6).all()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_map(simulated_scene: Path) -> None:
    config = override(
        TrainingConfig(), {**SMALL, "steps": 8, "buffer_features": 20_000, "views_per_image": 1}
    )
    maps = [map_scene(load_scene(simulated_scene), config, ON_CPU)[0] for _ in range(2)]
    for a, b in zip(*(m.chunks[0].head.parameters() for m in maps), strict=True):
        assert torch.equal(a, b)


def moved(scene: Scene, shift: Tensor) -> Scene:
    """Return a scene whose poses (4, 4) are changed by `shift`."""
    return replace(scene, frames=tuple(replace(f, T_map_camera=f.T_map_camera + shift) for f in scene.frames))


@pytest.mark.slow
def test_a_map_in_a_projection_is_as_good_as_one_at_the_origin(simulated_scene: Path) -> None:
    offset = torch.zeros(4, 4, dtype=torch.float64)
    offset[:3, 3] = torch.tensor([500_000.0, 5_400_000.0, 231.0])
    config = override(training_preset("fast"), {**SMALL, "steps": 500, "views_per_image": 1})
    errors_m: dict[bool, list[float]] = {False: [], True: []}
    for shift in (torch.zeros_like(offset), offset):
        mapping, test = (moved(load_scene(simulated_scene, split), shift) for split in ("train", "test"))
        scene_map, _ = map_scene(mapping, config, ON_CPU)
        for sharp, medians in errors_m.items():
            found = evaluate(test, Relocalizer(scene_map, device="cpu", use_landmarks=sharp))
            medians.append(float(found.translation_m.nanmedian()))
    for (origin_m, projection_m), limit_m in zip(errors_m.values(), (0.15, 0.02), strict=True):
        # Single precision would be half a metre off there; the rest is the luck of a short training.
        assert origin_m < limit_m and projection_m < 2.0 * origin_m + 0.001


def test_one_image_is_not_enough_to_train_on(simulated_scene: Path) -> None:
    scene = load_scene(simulated_scene)
    with pytest.raises(SceneError, match="at least 2"):
        map_scene(Scene(scene.folder, scene.split, scene.frames[:1]), CONFIG, ON_CPU)


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_training_on_a_gpu_gives_a_map_as_good(simulated_scene: Path, just_trained: JustTrained) -> None:
    on_gpu = MappingSetup(torch.device("cuda"))
    _, report = map_scene(load_scene(simulated_scene), override(TrainingConfig(), SMALL), on_gpu)
    assert report.inlier_share > 0.8 * just_trained.report.inlier_share
