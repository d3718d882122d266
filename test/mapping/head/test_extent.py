# SPDX-License-Identifier: Apache-2.0
"""Where a scene lies and how large it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ace_ros.config import TrainingConfig
from ace_ros.data.scene import load_scene
from ace_ros.geometry.se3 import transform
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.head.extent import local_views, scene_extent
from ace_ros.mapping.map_scene import prepare_features
from ace_ros.network.encoder_file import load_encoder

CONFIG = TrainingConfig()


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
