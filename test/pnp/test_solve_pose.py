# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
import torch
from pose_scenes import CAMERAS, PoseScene, pose_scene
from torch import Tensor

from ace_ros.config import RansacConfig
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.metrics import pose_error
from ace_ros.geometry.se3 import rigid_defect, so3_exp
from ace_ros.pnp import PoseBatch, Reason, solve_pose

CONFIG = RansacConfig(min_inliers=20)


def solve(scene: PoseScene, config: RansacConfig = CONFIG, **options: object) -> PoseBatch:
    return solve_pose(scene.pixels[None], scene.points[None], scene.camera, config, **options)  # type: ignore[arg-type]


def assert_refused(result: PoseBatch, *reasons: Reason) -> None:
    assert not result.ok.any()
    assert torch.isnan(result.T_map_camera).all()
    assert torch.isnan(result.covariance).all()
    assert set(result.reason.tolist()) <= set(reasons)


def assert_close(result: PoseBatch, scene: PoseScene, metres: float, degrees: float) -> None:
    assert result.ok.all()
    distance, angle = pose_error(result.T_map_camera[0], scene.T_map_camera)
    assert distance < metres
    assert math.degrees(float(angle)) < degrees


# What it finds


@pytest.mark.parametrize("camera", CAMERAS)
def test_exact_without_noise_for_every_camera_model(camera: str) -> None:
    result = solve(pose_scene(1, inliers=0.6, camera=camera))
    assert_close(result, pose_scene(1, inliers=0.6, camera=camera), 1e-7, 1e-5)
    assert rigid_defect(result.T_map_camera).max() < 1e-12
    assert result.T_map_camera.dtype == result.covariance.dtype == torch.float64


@pytest.mark.parametrize("camera", CAMERAS)
def test_finds_noisy_poses_for_every_camera_model(camera: str) -> None:
    for seed in range(4):
        scene = pose_scene(seed, 2000, inliers=0.4, noise_px=2.0, camera=camera)
        assert_close(solve(scene), scene, 0.02, 0.5)


@pytest.mark.parametrize("inliers", [1.0, 0.7, 0.4, 0.15, 0.1])
def test_recovers_among_outliers(inliers: float) -> None:
    for seed in range(10):
        scene = pose_scene(100 + seed, 4800, inliers=inliers, noise_px=2.0)
        result = solve(scene)
        assert_close(result, scene, 0.05, 2.0)
        wrong = result.inliers[0] & ~scene.belongs
        assert wrong.sum() < 0.01 * 4800


@pytest.mark.parametrize("seed", range(6))
def test_the_larger_of_two_consistent_poses_wins(seed: int) -> None:
    scene = pose_scene(seed, 3000, inliers=0.3, second_pose=0.2, noise_px=2.0)
    assert_close(solve(scene), scene, 0.03, 1.0)


def test_three_points_give_one_of_their_solutions() -> None:
    config = replace(CONFIG, min_inliers=3, min_occupied_share=0.0)
    scene = pose_scene(3, 3)
    result = solve(scene, config)
    assert result.ok.all()
    assert result.inliers.all()


@pytest.mark.parametrize("count", [4, 6, 30, 100_000])
def test_from_a_handful_to_a_hundred_thousand_points(count: int) -> None:
    config = replace(CONFIG, min_inliers=4, min_occupied_share=0.0)
    scene = pose_scene(4, count, inliers=1.0 if count < 10 else 0.5, noise_px=0.0)
    assert_close(solve(scene, config), scene, 1e-4, 1e-3)


@pytest.mark.parametrize("offset_m", [5e5, 5e6])
def test_utm_coordinates_lose_no_accuracy(offset_m: float) -> None:
    scene = pose_scene(5, 2000, inliers=0.5, noise_px=1.0)
    shift = torch.tensor([offset_m, 9 * offset_m, 100.0], dtype=torch.float64)
    moved = scene._replace(points=scene.points + shift, T_map_camera=scene.T_map_camera.clone())
    moved.T_map_camera[:3, 3] += shift
    near, far = solve(scene), solve(moved)
    assert (far.T_map_camera[0, :3, 3] - shift - near.T_map_camera[0, :3, 3]).abs().max() < 1e-6
    assert torch.allclose(far.covariance, near.covariance, rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_scenes_of_any_size_are_solved(scale: float) -> None:
    scene = pose_scene(6, 1000, inliers=0.5, noise_px=1.0)
    scaled = scene._replace(points=scene.points * scale, T_map_camera=scene.T_map_camera.clone())
    scaled.T_map_camera[:3, 3] *= scale
    assert_close(solve(scaled), scaled, 0.01 * scale, 0.5)


def test_heavier_points_decide_between_two_poses() -> None:
    scene = pose_scene(7, 2000, inliers=0.3, second_pose=0.4, noise_px=1.0)
    weights = torch.where(scene.belongs, 1.0, 0.1)[None].double()
    assert_close(solve(scene, weights=weights), scene, 0.03, 1.0)
    distance, _ = pose_error(solve(scene).T_map_camera[0], scene.T_map_camera)
    assert distance > 0.1


def test_points_of_weight_zero_or_not_finite_are_ignored() -> None:
    scene = pose_scene(8, 600, inliers=0.6, noise_px=1.0)
    some = torch.arange(600) % 3 == 0
    points, pixels = scene.points.clone(), scene.pixels.clone()
    points[some] = torch.nan
    points[1], pixels[2], pixels[4] = torch.inf, torch.nan, -torch.inf
    result = solve(scene._replace(points=points, pixels=pixels))
    assert_close(result, scene, 0.03, 1.0)
    assert not result.inliers[0, some].any()
    weights = torch.where(some, 0.0, 1.0)[None].double()
    weights[0, 1] = torch.nan
    weighted = solve(scene, weights=weights)
    assert_close(weighted, scene, 0.03, 1.0)
    assert not weighted.inliers[0, some].any()


# Repeatability


def test_same_seed_same_answer_and_another_seed_another_one() -> None:
    scene = pose_scene(9, 1500, inliers=0.2, noise_px=2.0)
    first, again = solve(scene), solve(scene)
    for f in fields(PoseBatch):
        assert torch.equal(getattr(first, f.name), getattr(again, f.name))
    by_generator = [solve(scene, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(by_generator[0].T_map_camera, by_generator[1].T_map_camera)
    assert_close(by_generator[2], scene, 0.05, 2.0)


def test_a_batch_equals_its_single_runs() -> None:
    scenes = [pose_scene(s, 900, inliers=0.3, noise_px=2.0) for s in range(4)]
    scenes[2] = scenes[2]._replace(points=torch.full_like(scenes[2].points, torch.nan))
    matrices = CAMERAS["pinhole"].matrix.repeat(4, 1, 1)
    matrices[:, 0, 0] *= torch.linspace(1.0, 1.03, 4)
    pixels, points = (torch.stack([getattr(s, name) for s in scenes]) for name in ("pixels", "points"))
    together = solve_pose(pixels, points, Camera(matrices, (640, 480)), CONFIG)
    for i in range(4):
        alone = solve_pose(pixels[i : i + 1], points[i : i + 1], Camera(matrices[i], (640, 480)), CONFIG)
        for f in fields(PoseBatch):
            a, b = getattr(together, f.name)[i].double(), getattr(alone, f.name)[0].double()
            assert torch.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True)
    assert together.ok.tolist() == [True, True, False, True]


def test_single_precision_input_is_enough() -> None:
    scene = pose_scene(10, 1000, inliers=0.5, noise_px=1.0)
    result = solve(scene._replace(pixels=scene.pixels.float(), points=scene.points.float()))
    assert_close(result, scene, 0.02, 0.5)


def test_nothing_is_kept_for_gradients() -> None:
    scene = pose_scene(11, 200)
    result = solve(scene._replace(points=scene.points.clone().requires_grad_()))
    assert not result.T_map_camera.requires_grad


# The prior pose


def shifted(T: Tensor, metres: float, radians: float) -> Tensor:
    change = torch.eye(4, dtype=torch.float64)
    change[:3, :3] = so3_exp(torch.tensor([0.0, radians, 0.0], dtype=torch.float64))
    change[0, 3] = metres
    return T @ change


def test_a_good_prior_finds_a_pose_that_chance_would_miss() -> None:
    config = replace(CONFIG, hypotheses=64)
    found = 0
    for seed in range(5):
        scene = pose_scene(seed, 3000, inliers=0.06, noise_px=2.0)
        prior = shifted(scene.T_map_camera, 0.02, 0.005)[None]
        assert_close(solve(scene, config, prior_T_map_camera=prior), scene, 0.05, 2.0)
        found += bool(solve(scene, config).ok)
    assert found < 5


@pytest.mark.parametrize("prior", ["far", "nan", "huge"])
def test_a_wrong_prior_never_makes_a_lost_robot_worse(prior: str) -> None:
    for seed in range(6):
        scene = pose_scene(200 + seed, 2000, inliers=0.12, noise_px=2.0)
        wrong = shifted(scene.T_map_camera, 1e9 if prior == "huge" else 3.0, 2.0)
        wrong = torch.full_like(wrong, torch.nan) if prior == "nan" else wrong
        alone, together = solve(scene), solve(scene, prior_T_map_camera=wrong[None])
        assert alone.ok.all()
        assert torch.allclose(together.T_map_camera, alone.T_map_camera, rtol=0.0, atol=1e-3)


# What it refuses


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_points_are_refused(count: int) -> None:
    result = solve(pose_scene(1, count))
    assert_refused(result, Reason.TOO_FEW_POINTS)
    assert result.inliers.shape == (1, count)


def test_an_empty_batch_is_no_error() -> None:
    result = solve_pose(torch.zeros(0, 9, 2), torch.zeros(0, 9, 3), CAMERAS["pinhole"], CONFIG)
    assert result.T_map_camera.shape == (0, 4, 4)
    assert result.inliers.shape == (0, 9)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_points_that_are_all_not_finite_are_refused(value: float) -> None:
    scene = pose_scene(2, 100)
    assert_refused(solve(scene._replace(points=torch.full_like(scene.points, value))), Reason.TOO_FEW_POINTS)
    assert_refused(solve(scene._replace(pixels=torch.full_like(scene.pixels, value))), Reason.TOO_FEW_POINTS)


@pytest.mark.parametrize("kind", ["all_equal", "collinear", "two_places", "pixels_equal"])
def test_degenerate_geometry_is_refused(kind: str) -> None:
    scene = pose_scene(3, 200)
    points, pixels = scene.points.clone(), scene.pixels.clone()
    along = torch.linspace(-1, 1, 200, dtype=torch.float64)[:, None]
    if kind == "all_equal":
        points[:] = points[0]
    elif kind == "collinear":
        points = points[0] + along * torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    elif kind == "two_places":
        points[::2], points[1::2] = points[0].clone(), points[1].clone()
    else:
        pixels[:] = pixels[0]
    assert_refused(
        solve(scene._replace(points=points, pixels=pixels)), Reason.NO_HYPOTHESIS, Reason.TOO_FEW_INLIERS
    )


def test_a_line_of_points_seen_as_a_line_is_refused() -> None:
    scene = pose_scene(4, 300)
    along = torch.linspace(-1, 1, 300, dtype=torch.float64)[:, None]
    in_camera = torch.cat([along, 0.5 * along, 3 + 0.3 * along], 1)
    points = in_camera @ scene.T_map_camera[:3, :3].T + scene.T_map_camera[:3, 3]
    pixels = scene.camera.project(in_camera)
    result = solve(scene._replace(points=points, pixels=pixels))
    assert_refused(result, Reason.NO_HYPOTHESIS, Reason.TOO_FEW_INLIERS)


def test_no_inlier_lies_behind_the_camera() -> None:
    scene = pose_scene(5, 400)
    behind = 2 * scene.T_map_camera[:3, 3] - scene.points  # at the same pixels, if seen from behind
    prior = scene.T_map_camera[None]
    result = solve(scene._replace(points=behind), replace(CONFIG, min_inliers=390), prior_T_map_camera=prior)
    assert_refused(result, Reason.TOO_FEW_INLIERS)


def test_random_correspondences_are_refused() -> None:
    for seed in range(5):
        assert_refused(solve(pose_scene(seed, 4800, inliers=0.0), RansacConfig()), Reason.TOO_FEW_INLIERS)


def test_inliers_in_one_corner_are_refused() -> None:
    scene = pose_scene(6, 2000)
    corner = (scene.pixels[:, 0] < 155) & (scene.pixels[:, 1] < 115)
    g = torch.Generator().manual_seed(1)
    anywhere = 5 * torch.randn(2000, 3, generator=g, dtype=torch.float64)
    points = torch.where(corner[:, None], scene.points, anywhere)
    some = corner | (torch.arange(2000) % 5 == 0)
    scene = scene._replace(points=points[some], pixels=scene.pixels[some])
    config = replace(CONFIG, min_inlier_share=0.0)
    assert_refused(solve(scene, config), Reason.TOO_CONCENTRATED)
    assert solve(scene, replace(config, min_occupied_share=0.0)).ok.all()


def test_too_small_a_share_of_inliers_is_refused() -> None:
    scene = pose_scene(7, 2000, inliers=0.3)
    assert_refused(solve(scene, replace(CONFIG, min_inlier_share=0.5)), Reason.TOO_FEW_INLIERS)
    assert_refused(solve(scene, replace(CONFIG, min_inliers=1000)), Reason.TOO_FEW_INLIERS)


def test_reasons_are_those_of_the_message() -> None:
    values = {r.name: int(r) for r in Reason}
    assert values == {
        "NONE": 0, "TOO_FEW_POINTS": 1, "NO_HYPOTHESIS": 2, "TOO_FEW_INLIERS": 3, "TOO_CONCENTRATED": 4,
        "UNKNOWN_PLACE": 5, "AMBIGUOUS_PLACE": 6,
    }  # fmt: skip


# Wrong arguments


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"pixels": torch.zeros(2, 10, 3)}, "pixels"),
        ({"pixels": torch.zeros(10, 2)}, "pixels"),
        ({"pixels": torch.zeros(2, 10, 2, dtype=torch.int64)}, "pixels"),
        ({"points": torch.zeros(2, 9, 3)}, "points"),
        ({"points": torch.zeros(2, 10, 2)}, "points"),
        ({"points": torch.zeros(2, 10, 3, device="meta")}, "points"),
        ({"weights": torch.ones(2, 9)}, "weights"),
        ({"weights": torch.ones(10)}, "weights"),
        ({"prior_T_map_camera": torch.eye(4)}, "prior_T_map_camera"),
        ({"cameras": Camera(torch.eye(3).repeat(3, 1, 1), (64, 48))}, "cameras.matrix"),
        (
            {"cameras": Camera(torch.eye(3), (64, 48), "equidistant", torch.zeros(3, 4))},
            "cameras.distortion",
        ),
    ],
)
def test_a_wrong_argument_is_named(change: dict[str, object], named: str) -> None:
    arguments: dict[str, object] = {
        "pixels": torch.zeros(2, 10, 2),
        "points": torch.zeros(2, 10, 3),
        "cameras": CAMERAS["pinhole"],
        "config": CONFIG,
    }
    with pytest.raises(ValueError, match=f"^{named} "):
        solve_pose(**{**arguments, **change})  # type: ignore[arg-type]


def test_a_zero_focal_length_is_named() -> None:
    matrix = CAMERAS["pinhole"].matrix.clone()
    matrix[0, 0] = 0.0
    with pytest.raises(CameraError, match="focal"):
        Camera(matrix, (640, 480))


def test_the_number_of_threads_and_the_precision_are_put_back() -> None:
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(2)
    try:
        solve(pose_scene(1, 100))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.get_float32_matmul_precision() == precision
