# SPDX-License-Identifier: Apache-2.0
"""The reprojection loss with its curriculum (ACE, CVPR 2023, section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.config import TrainingConfig

LEAST_WIDTH_PX = 1e-3  # to divide by in the first phase, whose width is 0


@dataclass(frozen=True)
class Views:
    """What the loss needs of every mapping image: T_camera_map (I, 3, 4), K and K⁻¹ (I, 3, 3).

    float32, in the map's local frame, pinhole (pixels are undistorted when the buffer is filled).
    """

    T_camera_map: Tensor
    K: Tensor
    K_inverse: Tensor


@dataclass(frozen=True)
class LossResult:
    """The loss (scalar), and of every feature (b,) its error in pixels (L1) and whether it is valid."""

    loss: Tensor
    error_px: Tensor
    valid: Tensor


def curriculum_width(progress: float, config: TrainingConfig) -> float:
    """Return the width in pixels of the robust loss: wide at first, narrowing along a quarter circle.

    `progress` runs from 0 to 1 over training. In the first phase, which has no robust loss, it is 0.
    """
    if progress < config.ray_share:
        return 0.0
    progress = (progress - config.ray_share) / max(1.0 - config.ray_share, 1e-6)
    s = 1.0 - (1.0 - min(progress, 1.0) ** 2) ** 0.5
    return (1.0 - s) * config.loss_px_start + config.loss_px_end


def reprojection_loss(
    points: Tensor,
    pixels: Tensor,
    image: Tensor,
    depth_m: Tensor,
    views: Views,
    width_px: Tensor,
    config: TrainingConfig,
) -> LossResult:
    """Return the loss of predicted points (b, 3) for undistorted pixels (b, 2) of images (b,).

    Valid predictions pay w * tanh(e / w) for their L1 error e in pixels; those behind the camera,
    too far or wildly off pay their L1 distance to the point on the pixel's ray at depth `depth_m`
    (b,), which is also what everybody pays in the first phase of training. The width w, `width_px` (),
    is that of `curriculum_width`. It is a tensor, so that a GPU can replay the step with another one.

    Unlike the paper's, that distance counts in pixels, too: as plain metres it would pull a hundred
    times less than the valid predictions of the same batch push, and wrong ones would stay wrong.
    And its depth is not the same for all pixels of all scenes, but what a plane sweep found.
    """
    # Indexing with [image] takes several times as long on a CPU, where rows are so small.
    T, K, K_inverse = (x.index_select(0, image) for x in (views.T_camera_map, views.K, views.K_inverse))
    in_camera = torch.baddbmm(T[:, :, 3:], T[:, :, :3], points[:, :, None])  # (b, 3, 1)
    depth = in_camera[:, 2]  # (b, 1)
    projected = (K[:, :2] @ in_camera)[..., 0]
    error = (projected / depth.clamp(min=config.min_depth_m) - pixels).abs().sum(-1)
    in_range = (depth >= config.min_depth_m) & (depth <= config.max_depth_m)
    valid = in_range[:, 0] & (error <= config.max_error_px)

    target = K_inverse @ (depth_m[:, None] * F.pad(pixels, (0, 1), value=1.0))[..., None]
    pixels_per_metre = K[:, 0, 0] / depth_m
    to_ray = pixels_per_metre * (in_camera - target)[..., 0].abs().sum(-1)
    w = width_px.clamp(min=LEAST_WIDTH_PX)
    loss = torch.where(valid & (width_px > 0), w * torch.tanh(error / w), to_ray)
    return LossResult(loss.mean(), error.detach(), valid)
