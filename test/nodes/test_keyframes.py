# SPDX-License-Identifier: Apache-2.0
"""Which images are kept."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from ace_ros.geometry.se3 import from_rotation_translation, so3_exp
from ace_ros.nodes.keyframes import BlurFilter, is_far, sharpness


def pose(x: float, yaw_deg: float) -> torch.Tensor:
    R = so3_exp(torch.tensor([0.0, 0.0, math.radians(yaw_deg)], dtype=torch.float64))
    return from_rotation_translation(R, torch.tensor([x, 0.0, 0.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("x", "yaw_deg", "far"),
    [(0.0, 0.0, False), (0.14, 7.0, False), (0.16, 0.0, True), (0.0, 9.0, True), (0.0, -9.0, True)],
)
def test_a_pose_is_far_by_distance_or_by_angle(x: float, yaw_deg: float, far: bool) -> None:
    assert is_far(pose(0.0, 0.0), pose(x, yaw_deg), distance_m=0.15, angle_deg=8.0) is far


def texture(contrast: float = 1.0, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 40 * contrast, (240, 320))
    return np.clip(128 + cv2.GaussianBlur(noise, (0, 0), 1.0) * 2, 0, 255).astype(np.uint8)


def test_a_blurred_image_among_sharp_ones_is_found() -> None:
    blur = BlurFilter()
    assert all(blur.complaint(texture(seed=i), 5.0, 0.3) == "" for i in range(5))
    smeared = cv2.blur(texture(seed=9), (9, 1))
    assert "recent images have" in blur.complaint(smeared, 5.0, 0.3)
    assert blur.complaint(texture(seed=10), 5.0, 0.3) == ""


def test_an_image_without_any_detail_is_found_at_once() -> None:
    assert "at least 5.0" in BlurFilter().complaint(np.full((240, 320), 90, np.uint8), 5.0, 0.3)


def test_a_place_with_less_detail_is_accepted_after_a_few_images() -> None:
    blur = BlurFilter()
    for i in range(15):
        blur.complaint(texture(seed=i), 5.0, 0.3)
    plain = [blur.complaint(texture(contrast=0.3, seed=i), 5.0, 0.3) for i in range(12)]
    assert plain[0] and not plain[-1]


def test_one_limit_of_sharpness_holds_for_any_resolution() -> None:
    small = texture()
    large = cv2.resize(small, (2560, 1920), interpolation=cv2.INTER_CUBIC)
    assert sharpness(large) == pytest.approx(sharpness(cv2.resize(large, (640, 480))), rel=0.2)
