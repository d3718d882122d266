# SPDX-License-Identifier: Apache-2.0
"""Features to train a head on without images and without an encoder."""

from __future__ import annotations

import torch

from ace_ros.config import override, training_preset
from ace_ros.mapping.features.buffer import FeatureBuffer
from ace_ros.mapping.head.trainer import HeadTrainer
from ace_ros.network.head import Head
from ace_ros.network.loss import Views

CONFIG = override(training_preset("fast"), {"batch": 256})


def features_of_a_wall() -> HeadTrainer:
    """Return a head and features of places on a wall, 3 m in front of four cameras, each as it should be."""
    g = torch.Generator().manual_seed(0)
    points = torch.cat([2.0 * torch.rand(1024, 2, generator=g) - 1.0, torch.full((1024, 1), 3.0)], 1)
    image = torch.arange(1024) % 4
    T = torch.eye(4)[:3].repeat(4, 1, 1)
    T[:, 0, 3] = torch.arange(4.0) / 4
    K = torch.tensor([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
    seen = (points + T[image, :, 3]) @ K.T
    code = torch.randn(3, 16, generator=g)
    buffer = FeatureBuffer(
        features=torch.sin(3.0 * points @ code).half(),
        pixels=seen[:, :2] / seen[:, 2:],
        image=image.int(),
        grey=torch.zeros(1024, dtype=torch.uint8),
        depth_m=torch.full((1024,), 3.0),
    )
    torch.manual_seed(0)
    views = Views(T, K.repeat(4, 1, 1), torch.linalg.inv(K).repeat(4, 1, 1))
    return HeadTrainer(Head(16, 64, 0), buffer, views, 1.0, CONFIG)
