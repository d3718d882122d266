# SPDX-License-Identifier: Apache-2.0
"""A sample of the place to look at: points that the head predicts well, with their brightness."""

from __future__ import annotations

import torch
from torch import Tensor

from ace_ros.config import TrainingConfig
from ace_ros.mapping.features.buffer import FeatureBuffer
from ace_ros.network.head import Head
from ace_ros.network.loss import Views, curriculum_width, reprojection_loss

CLOUD_ERROR_PX = 3.0  # points worse than this are not shown


@torch.no_grad()
def sample_cloud(
    head: Head, scale_m: float, buffer: FeatureBuffer, views: Views, config: TrainingConfig, count: int
) -> tuple[Tensor, Tensor]:
    """Return up to `count` well predicted points (P, 3) float32, local, and their brightness (P,) uint8.

    `scale_m` is the unit that the head counts in, in metres.
    """
    generator = torch.Generator().manual_seed(config.seed)
    wanted = min(3 * count, len(buffer))
    rows = torch.randperm(len(buffer), generator=generator)[:wanted].to(buffer.device)
    device = head.output.weight.device
    width_px = torch.tensor(curriculum_width(1.0, config), device=device)
    points, good = [torch.zeros(0, 3)], [torch.zeros(0, dtype=torch.bool)]
    for part in rows.split(16384):
        features, pixels, image, depth_m = buffer.batch(part, device)
        predicted = scale_m * head(features.float())
        result = reprojection_loss(predicted, pixels, image, depth_m, views, width_px, config)
        points.append(predicted.cpu())
        good.append((result.valid & (result.error_px < CLOUD_ERROR_PX)).cpu())
    kept = torch.cat(good).nonzero()[:count, 0]
    return torch.cat(points)[kept], buffer.grey[rows.cpu()][kept]
