# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from ace_ros.config import TrainingConfig
from ace_ros.geometry.se3 import from_rotation_translation, inverse, so3_exp, transform
from ace_ros.network.head import MAX_H, MIN_H, Head
from ace_ros.network.loss import Views, curriculum_width, reprojection_loss

CONFIG = TrainingConfig(ray_share=0.0)
DEPTH = torch.full((90,), 3.0)
HALF_WAY = torch.tensor(curriculum_width(0.5, CONFIG))


@pytest.fixture
def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Views]:
    """Return points (b, 3), their pixels (b, 2), image indices (b,) and three cameras."""
    generator = torch.Generator().manual_seed(1)
    omega, t = 0.2 * torch.randn(3, 3, generator=generator), torch.randn(3, 3, generator=generator)
    T_camera_map = inverse(from_rotation_translation(so3_exp(omega), t))
    K = torch.tensor([[500.0, 0.0, 320.0], [0.0, 510.0, 240.0], [0.0, 0.0, 1.0]]).repeat(3, 1, 1)
    image = torch.arange(90) % 3
    pixels = torch.rand(90, 2, generator=generator) * torch.tensor([640.0, 480.0])
    depth = 1.0 + 5.0 * torch.rand(90, 1, generator=generator)
    rays = torch.cat([pixels, torch.ones(90, 1)], -1) @ torch.linalg.inv(K[0]).T
    points = torch.cat(
        [transform(inverse(T_camera_map[i])[None], (rays * depth)[j : j + 1])[0] for j, i in enumerate(image)]
    )
    return points, pixels, image, Views(T_camera_map[:, :3], K, torch.linalg.inv(K))


def test_the_loss_is_zero_at_the_truth(scene: tuple) -> None:
    points, pixels, image, views = scene
    result = reprojection_loss(points, pixels, image, DEPTH, views, HALF_WAY, CONFIG)
    assert float(result.loss) < 1e-2
    assert result.valid.all()
    assert float(result.error_px.max()) < 1e-2


def test_the_error_is_the_l1_norm_in_pixels(scene: tuple) -> None:
    points, pixels, image, views = scene
    moved = pixels + torch.tensor([3.0, -4.0])
    error = reprojection_loss(points, moved, image, DEPTH, views, HALF_WAY, CONFIG).error_px
    torch.testing.assert_close(error, torch.full((90,), 7.0), atol=1e-2, rtol=0)


def test_a_valid_error_pays_a_robust_price_and_an_invalid_one_its_distance_to_the_ray(scene: tuple) -> None:
    points, pixels, image, views = scene
    wide = float(HALF_WAY)
    result = reprojection_loss(points, pixels + 20.0, image, DEPTH, views, HALF_WAY, CONFIG)
    expected = wide * torch.tanh(torch.tensor(40.0 / wide))
    torch.testing.assert_close(result.loss, expected, atol=1e-2, rtol=0)
    # Behind the camera, on the ray at depth -2: 5 m short of the target at 3 m, each metre f / 3 px.
    ray = (torch.cat([pixels, torch.ones(90, 1)], -1)[:, None] @ views.K_inverse[image].transpose(1, 2))[:, 0]
    T_map_camera = inverse(
        torch.cat([views.T_camera_map, torch.tensor([[[0.0, 0.0, 0.0, 1.0]]]).repeat(3, 1, 1)], 1)
    )
    behind = transform(T_map_camera[image], (-2.0 * ray)[:, None])[:, 0]
    result = reprojection_loss(behind, pixels, image, DEPTH, views, HALF_WAY, CONFIG)
    assert not result.valid.any()
    torch.testing.assert_close(
        result.loss, 5.0 * 500.0 / 3.0 * ray.abs().sum(-1).mean(), atol=1e-2, rtol=1e-4
    )


def test_the_first_phase_pulls_everything_to_the_ray(scene: tuple) -> None:
    points, pixels, image, views = scene
    width_px = torch.tensor(curriculum_width(0.1, replace(CONFIG, ray_share=0.2)))
    T_map_camera = inverse(
        torch.cat([views.T_camera_map, torch.tensor([[[0.0, 0.0, 0.0, 1.0]]]).repeat(3, 1, 1)], 1)
    )
    ray = (torch.cat([pixels, torch.ones(90, 1)], -1)[:, None] @ views.K_inverse[image].transpose(1, 2))[:, 0]
    there = transform(T_map_camera[image], (3.0 * ray)[:, None])[:, 0]
    assert float(reprojection_loss(there, pixels, image, DEPTH, views, width_px, CONFIG).loss) < 1e-2
    assert float(reprojection_loss(points, pixels, image, DEPTH, views, width_px, CONFIG).loss) > 10.0


def test_gradients_are_finite_wherever_a_prediction_lands(scene: tuple) -> None:
    _, pixels, image, views = scene
    config = TrainingConfig()
    for scale in (0.0, 1e-6, 1.0, 1e4, 1e7):
        points = (scale * torch.randn(90, 3, generator=torch.Generator().manual_seed(2))).requires_grad_()
        for progress in (0.0, 0.5, 1.0):
            width_px = torch.tensor(curriculum_width(progress, config))
            loss = reprojection_loss(points, pixels, image, DEPTH, views, width_px, config).loss
            (gradient,) = torch.autograd.grad(loss, points)
            assert torch.isfinite(loss) and torch.isfinite(gradient).all()


def test_the_curriculum_narrows_slowly_first() -> None:
    start, end = CONFIG.loss_px_start, CONFIG.loss_px_end
    widths = [curriculum_width(t / 10, CONFIG) for t in range(11)]
    assert widths[0] == pytest.approx(start + end)
    assert widths[-1] == pytest.approx(end)
    steps = [a - b for a, b in itertools.pairwise(widths)]
    assert all(b > a for a, b in itertools.pairwise(steps))


def test_the_heads_divisor_is_one_at_zero_and_stays_in_its_range() -> None:
    head = Head(8, 16, 0)
    for parameter in head.output.parameters():
        parameter.data.zero_()
    head.output.bias.data[:3] = torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(head(torch.zeros(1, 8))[0], torch.tensor([1.0, 2.0, 3.0]))
    head.output.bias.data[3] = 1e6
    torch.testing.assert_close(head(torch.zeros(1, 8))[0, 0], torch.tensor(1.0 / MAX_H))
    head.output.bias.data[3] = -1e6
    torch.testing.assert_close(head(torch.zeros(1, 8))[0, 0], torch.tensor(1.0 / MIN_H))


def test_the_head_keeps_float32_precision_under_autocast() -> None:
    torch.manual_seed(0)
    head = Head(8, 16, 1)
    with torch.autocast("cpu", torch.bfloat16):
        points = head(torch.randn(4, 8))
    assert points.dtype == torch.float32
