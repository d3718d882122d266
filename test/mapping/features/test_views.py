# SPDX-License-Identifier: Apache-2.0
"""Augmented views of mapping images."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ace_ros.config import TrainingConfig
from ace_ros.mapping.features.views import plain_view, random_view

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
