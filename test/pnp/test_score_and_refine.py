# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from pose_scenes import CAMERAS, PoseScene, pose_scene
from torch import Tensor

from ace_ros.geometry.se3 import inverse
from ace_ros.pnp import score
from ace_ros.pnp.correspondences import Correspondences, prepare
from ace_ros.pnp.refine import errors, moved, orthonormal, pose_jacobian, refine
from ace_ros.pnp.score import projection_coefficients, soft_inliers


def prepared(scene: PoseScene) -> tuple[Correspondences, Tensor]:
    """Return the scene's correspondences and its true pose (1, 1, 3, 4) for them."""
    seen = prepare(scene.pixels[None], scene.points[None], scene.camera, None)
    T = inverse(scene.T_map_camera)
    t = (T[:3, :3] @ seen.centre[0] + T[:3, 3]) / seen.scale[0]
    return seen, torch.cat([T[:3, :3], t[:, None]], 1)[None, None]


def near_poses(true: Tensor, count: int, size: float) -> Tensor:
    """Return poses (1, count, 3, 4) around the true one."""
    g = torch.Generator().manual_seed(4)
    change = size * torch.randn(1, count, 6, generator=g, dtype=torch.float64)
    return moved(true.expand(1, count, 3, 4), change)


@pytest.mark.parametrize("camera", CAMERAS)
def test_errors_are_the_camera_models_to_first_order(camera: str) -> None:
    scene = pose_scene(1, 400, noise_px=3.0, camera=camera)
    seen, true = prepared(scene)
    at = errors(true, seen)
    in_camera = (at.turned[0, 0] + true[0, 0, :, 3:]).T
    exact = scene.camera.project(in_camera) - scene.pixels
    found = torch.stack([at.px[0][0, 0], at.px[1][0, 0]], -1)
    assert (found - exact).norm(dim=-1).quantile(0.99) < (1e-6 if scene.camera.distortion is None else 0.5)
    assert (found - exact).norm(dim=-1).median() < 0.05


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_pose_jacobian_agrees_with_finite_differences(camera: str) -> None:
    seen, true = prepared(pose_scene(2, 50, noise_px=2.0, camera=camera))
    at = errors(true, seen)
    factor = torch.linspace(0.5, 2.0, 50, dtype=torch.float64)
    J = pose_jacobian(at, seen, factor[None, None])[0, 0]  # (6, 2, N)
    for i in range(6):
        step = torch.zeros(1, 1, 6, dtype=torch.float64)
        step[..., i] = 1e-6
        ahead, behind = errors(moved(true, step), seen), errors(moved(true, -step), seen)
        numeric = torch.stack([(a - b)[0, 0] / 2e-6 for a, b in zip(ahead.px, behind.px, strict=True)])
        assert torch.allclose(J[i], numeric * factor, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_ray_jacobian_agrees_with_autograd(camera: str) -> None:
    scene = pose_scene(3, 60, camera=camera)
    seen, _ = prepared(scene)
    rays = seen.rays[0].T.clone().requires_grad_()
    pixels = scene.camera.project(torch.cat([rays, torch.ones_like(rays[:, :1])], 1))
    for row in range(2):
        (exact,) = torch.autograd.grad(pixels[:, row].sum(), rays, retain_graph=True)
        assert torch.allclose(seen.jacobian[0, row].T, exact, rtol=1e-4, atol=1e-2)


def test_scores_in_float32_are_those_of_the_errors_in_float64() -> None:
    seen, true = prepared(pose_scene(5, 800, inliers=0.6, noise_px=2.0))
    poses = near_poses(true, 40, 0.01)
    found = soft_inliers(poses.flatten(2), projection_coefficients(seen, 10.0), seen.weights)
    ratio = errors(poses, seen).square_px2 / 10.0**2
    assert torch.allclose(found.double(), (1 - ratio).clamp(min=0.0).sum(-1), rtol=1e-3, atol=0.05)
    assert found.max() > 300


def test_points_behind_the_camera_count_nothing() -> None:
    scene = pose_scene(6, 100)
    behind = 2 * scene.T_map_camera[:3, 3] - scene.points  # seen at the same pixels from behind
    seen, true = prepared(scene._replace(points=behind))
    coefficients = projection_coefficients(seen, 10.0)
    assert soft_inliers(true.flatten(2), coefficients, seen.weights).abs().max() == 0
    assert torch.isinf(errors(true, seen).square_px2).all()


def test_scores_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, true = prepared(pose_scene(7, 500, inliers=0.5, noise_px=2.0))
    poses = near_poses(true, 33, 0.02).flatten(2)
    arguments = projection_coefficients(seen, 10.0), seen.weights
    whole = soft_inliers(poses, *arguments)
    monkeypatch.setitem(score.CHUNK_ELEMENTS, "cpu", 1300)  # two poses at a time
    assert torch.allclose(soft_inliers(poses, *arguments), whole, atol=1e-3)


def test_weights_scale_what_a_point_counts() -> None:
    scene = pose_scene(8, 100)
    weights = torch.linspace(0.0, 3.0, 100, dtype=torch.float64)
    seen = prepare(scene.pixels[None], scene.points[None], scene.camera, weights[None])
    _, true = prepared(scene)
    # The centre moves with the first point, whose weight is 0.
    t = torch.zeros_like(true[..., 3:])
    T = inverse(scene.T_map_camera)
    t[0, 0, :, 0] = (T[:3, :3] @ seen.centre[0] + T[:3, 3]) / seen.scale[0]
    pose = torch.cat([true[..., :3], t], -1).flatten(2)
    total = soft_inliers(pose, projection_coefficients(seen, 10.0), seen.weights)
    assert torch.allclose(total[0, 0].double(), weights.sum(), rtol=1e-4)


@pytest.mark.parametrize("camera", CAMERAS)
def test_refinement_without_noise_reaches_the_true_pose(camera: str) -> None:
    scene = pose_scene(9, 300, inliers=0.7, camera=camera)
    seen, true = prepared(scene)
    found = refine(near_poses(true, 5, 0.01), seen, (20.0, 10.0, 10.0), 5)
    assert (found - true).abs().max() < 1e-7


def test_refinement_never_raises_the_loss_and_survives_bad_starts() -> None:
    seen, true = prepared(pose_scene(10, 300, inliers=0.5, noise_px=2.0))
    poses = near_poses(true, 8, 3.0)
    poses[0, 1] = torch.nan
    found = refine(poses, seen, (10.0,), 4)
    assert torch.isfinite(found[0, [0, 2, 3, 4, 5, 6, 7]]).all()
    assert torch.isnan(found[0, 1]).all()
    R = found[0, 2:, :, :3]
    assert (R @ R.transpose(1, 2) - torch.eye(3)).abs().max() < 1e-9


def test_orthonormal_repairs_a_rotation() -> None:
    _, true = prepared(pose_scene(11, 20))
    off = true + 1e-4 * torch.randn(true.shape, generator=torch.Generator().manual_seed(0))
    R = orthonormal(off)[0, 0, :, :3]
    assert (R @ R.T - torch.eye(3)).abs().max() < 1e-12
