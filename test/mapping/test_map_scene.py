# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from ace_ros.config import PRESETS, TrainingConfig, override, training_preset
from ace_ros.data.scene import Frame, Scene, load_scene
from ace_ros.errors import ConfigError, SceneError
from ace_ros.evaluation.evaluate import evaluate
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import transform
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.features.buffer import view_count
from ace_ros.mapping.features.views import plain_view, random_view
from ace_ros.mapping.head import trainer
from ace_ros.mapping.head.extent import local_views, scene_extent
from ace_ros.mapping.map_scene import MappingSetup, map_scene, prepare_features, step_limit
from ace_ros.mapping.schedule import Clock, one_cycle
from ace_ros.maps.global_descriptor import SIZE as DESCRIPTOR_SIZE
from ace_ros.network.encoder_file import load_encoder
from support import ON_CPU, SMALL, Trained

CONFIG = TrainingConfig()


def test_a_views_pixels_show_what_the_image_shows_there() -> None:
    # Brightness is position, so every pixel of a view tells where in the image it comes from.
    columns = np.tile(np.linspace(20, 230, 640, dtype=np.float32), (480, 1)).round().astype(np.uint8)
    rows = np.tile(np.linspace(20, 230, 480, dtype=np.float32)[:, None], (1, 640)).round().astype(np.uint8)
    config = replace(CONFIG, light=0.0)
    for seed in range(8):
        for image, axis, extent in ((columns, 0, 639), (rows, 1, 479)):
            view = random_view(image, 8, config, np.random.default_rng(seed))
            y, x = np.mgrid[: view.grey.shape[0], : view.grey.shape[1]]
            source = view.to_image @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
            inside = ((source > 12) & (source < np.array([[627], [467]]))).all(0)
            brightness = 20 + 210 * source[axis] / extent
            found = 255 * view.grey.ravel()
            assert inside.mean() > 0.3
            assert np.abs(found - brightness)[inside].max() < 2.5


def test_views_differ_in_scale_rotation_and_light_within_the_limits() -> None:
    image = (np.random.default_rng(0).random((480, 640)) * 255).astype(np.uint8)
    views = [random_view(image, 8, CONFIG, np.random.default_rng(i)) for i in range(200)]
    scales = np.array([1.0 / math.sqrt(abs(np.linalg.det(v.to_image[:, :2]))) for v in views])
    angles = np.degrees([math.atan2(v.to_image[1, 0], v.to_image[0, 0]) for v in views])
    assert 1 / 1.5 - 1e-6 <= scales.min() < 0.72 and 1.4 < scales.max() <= 1.5 + 1e-6
    assert -15.01 <= angles.min() < -12 and 12 < angles.max() <= 15.01
    assert all(v.grey.shape[0] % 8 == 0 and v.grey.shape[1] % 8 == 0 for v in views)
    assert np.std([v.grey.mean() for v in views]) > 0.01


def test_the_plain_view_is_the_image() -> None:
    image = (np.random.default_rng(0).random((483, 645)) * 255).astype(np.uint8)
    view = plain_view(image, 8)
    np.testing.assert_array_equal(np.round(view.grey * 255), image[:480, :640])


def test_the_number_of_views_is_limited_but_every_image_has_one() -> None:
    config = replace(CONFIG, views_per_image=8, max_views=100)
    assert [view_count(n, config) for n in (5, 50, 1000)] == [40, 100, 1000]


def test_few_images_are_not_learned_by_heart() -> None:
    config = replace(CONFIG, steps=10_000, batch=1000, features_per_image=200_000)
    assert [step_limit(n, config) for n in (1, 20, 50, 1000)] == [200, 4000, 10_000, 10_000]
    exact = training_preset("standard", 60.0)
    assert step_limit(2, exact) == exact.steps  # a time budget is used up, as the user said


def write_frames(folder: Path, camera: Camera, count: int = 3) -> tuple[Frame, ...]:
    rng = np.random.default_rng(0)
    frames = []
    for i in range(count):
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 255, (60, 80), dtype=np.uint8), camera.size))
        T = torch.eye(4, dtype=torch.float64)
        T[0, 3] = 0.2 * i
        frames.append(Frame(path, T, camera, None))
    return tuple(frames)


def test_every_image_and_every_place_in_it_has_its_share_of_the_buffer(tmp_path: Path) -> None:
    matrix = torch.tensor([[300.0, 0.0, 159.5], [0.0, 300.0, 119.5], [0.0, 0.0, 1.0]])
    camera = Camera(matrix, (320, 240), "plumb_bob", torch.tensor([-0.2, 0.05, 0.0, 0.0]))
    frames = write_frames(tmp_path, camera)
    encoder = load_encoder("lite")
    config = replace(CONFIG, buffer_features=9000, views_per_image=4)
    buffer = prepare_features(EncodedImages(frames, encoder, torch.device("cpu")), config)
    counts = torch.bincount(buffer.image.long())
    assert len(buffer) <= 9000 and counts.min() > 0.9 * counts.max()
    assert buffer.features.dtype == torch.float16 and buffer.features.shape[1] == 128
    # Pixels are those of the undistorted camera at the encoder's size: corners reach beyond the image.
    resized = camera.resize(640, 480)
    corner = resized.undistort(torch.tensor([[3.5, 3.5]]))
    assert float(corner[0, 0]) < 3.0
    assert (buffer.pixels.amin(0) >= corner[0] - 8).all()
    quadrants = (buffer.pixels > torch.tensor([319.5, 239.5])).long() @ torch.tensor([1, 2])
    assert torch.bincount(quadrants, minlength=4).min() > 0.2 * len(buffer)


def test_batches_visit_every_feature_once_a_pass(tmp_path: Path) -> None:
    camera = Camera(torch.tensor([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1.0]]), (320, 240))
    encoder = load_encoder("lite")
    config = replace(CONFIG, buffer_features=1000, views_per_image=1)
    buffer = prepare_features(
        EncodedImages(write_frames(tmp_path, camera), encoder, torch.device("cpu")), config
    )
    size = (len(buffer) - 3) // 4
    rows = torch.arange(len(buffer))[3:]  # all but some that are held out
    batches = trainer.batches(rows, size, seed=0)
    first, second = ([next(batches) for _ in range(4)] for _ in range(2))
    assert len(torch.unique(torch.cat(first))) == 4 * size
    assert torch.cat(first).min() >= 3
    assert not torch.equal(torch.cat(first), torch.cat(second))


def test_views_are_local_so_that_large_coordinates_lose_nothing(simulated_scene: Path) -> None:
    frames = load_scene(simulated_scene).frames
    far = torch.tensor([500_000.0, 5_400_000.0, 100.0], dtype=torch.float64)
    moved = []
    for frame in frames:
        T = frame.T_map_camera.clone()
        T[:3, 3] += far
        moved.append(replace(frame, T_map_camera=T))
    config = replace(CONFIG, buffer_features=9000, views_per_image=1)
    extents = []
    for some in (frames, tuple(moved)):
        buffer = prepare_features(EncodedImages(some, load_encoder("lite"), torch.device("cpu")), config)
        extents.append(scene_extent(some, buffer, seed=0))
    near, far_away = extents
    torch.testing.assert_close(far_away.centre - far, near.centre, atol=0.02, rtol=0)
    assert far_away.radius_m == pytest.approx(near.radius_m, rel=0.02)
    views = local_views(frames, near.centre, torch.device("cpu"))
    far_views = local_views(tuple(moved), near.centre + far, torch.device("cpu"))
    torch.testing.assert_close(far_views.T_camera_map, views.T_camera_map, atol=1e-6, rtol=0)
    point = torch.tensor([[0.3, -0.2, 0.1]])
    in_camera = transform(views.T_camera_map[0], point)
    assert torch.isfinite(in_camera).all()


def test_the_learning_rate_rises_to_its_maximum_and_falls_to_nothing() -> None:
    rates = [one_cycle(t / 100) for t in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == pytest.approx(1.0) and rates.index(max(rates)) == 10
    assert rates[-1] < 1e-5
    assert all(0 < r <= 1 for r in rates)


def test_the_clock_follows_steps_or_time_whichever_is_further() -> None:
    by_steps = Clock(10, 1e6)
    by_steps.step = 5
    assert by_steps.progress == 0.5
    assert math.isfinite(by_steps.remaining_s)
    by_time = Clock(10**9, 1e-3)
    by_time.step = 1
    while by_time.elapsed_s < 2e-3:
        pass
    assert by_time.progress == 1.0


def test_presets_are_valid_and_a_time_budget_replaces_the_steps() -> None:
    for name in PRESETS:
        training_preset(name)
    config = training_preset("standard", 12.5)
    assert config.time_budget_s == 12.5 and config.steps >= 1_000_000
    with pytest.raises(ConfigError, match="preset must be one of fast, standard, accurate, got 'best'"):
        training_preset("best")
    with pytest.raises(ConfigError, match="no option 'step'"):
        override(CONFIG, {"step": 3})
    with pytest.raises(ConfigError, match="TrainingConfig.steps must be at least 1, got 0"):
        override(CONFIG, {"steps": 0})
    with pytest.raises(ConfigError, match="finite"):
        override(CONFIG, {"learning_rate": math.nan})


def test_training_makes_a_map_that_explains_the_images(trained: Trained) -> None:
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
        assert origin_m < limit_m and projection_m < 1.3 * origin_m + 0.001


def test_one_image_is_not_enough_to_train_on(simulated_scene: Path) -> None:
    scene = load_scene(simulated_scene)
    with pytest.raises(SceneError, match="at least 2"):
        map_scene(Scene(scene.folder, scene.split, scene.frames[:1]), CONFIG, ON_CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_training_on_a_gpu_gives_a_map_as_good(simulated_scene: Path, trained: Trained) -> None:
    on_gpu = MappingSetup(torch.device("cuda"))
    _, report = map_scene(load_scene(simulated_scene), override(TrainingConfig(), SMALL), on_gpu)
    assert report.inlier_share > 0.8 * trained.report.inlier_share
