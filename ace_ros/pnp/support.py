# SPDX-License-Identifier: Apache-2.0
"""A quick look at how well one pose explains points, to choose among many sets of points."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ace_ros.compute.precision import full_precision
from ace_ros.compute.threads import one_thread
from ace_ros.config import RansacConfig
from ace_ros.geometry.camera import Camera
from ace_ros.pnp.correspondences import prepare
from ace_ros.pnp.poses import CameraPoses
from ace_ros.pnp.ransac import Draws, Stage, best_score

# A twelfth of what a pose is searched with. Of points of which a fifth is right, eight samples
# in a thousand are.
HYPOTHESES, FIRST_POINTS, KEPT = 1024, 32, 32


def pose_support(pixels: Tensor, points: Tensor, camera: Camera, config: RansacConfig) -> Tensor:
    """Return the share (B,) of points (B, N, 3) that one pose brings to pixels (B, N, 2), roughly.

    It is found from few samples and not refined; all B images are of one camera. A twelfth of the
    time of `solve_pose` where B is large.
    """
    config = replace(config, hypotheses=HYPOTHESES)
    draws = Draws(config.seed, None, pixels.device)
    with torch.no_grad(), full_precision(), one_thread(pixels.device):
        seen = prepare(pixels, points, camera, None)
        score = best_score(CameraPoses(seen, config, draws), [Stage(FIRST_POINTS, KEPT)])
    return score.clamp(min=0.0) / pixels.shape[1]
