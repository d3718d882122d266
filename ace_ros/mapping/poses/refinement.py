# SPDX-License-Identifier: Apache-2.0
"""Refine drifting mapping poses before a map is trained: bundle adjustment with an odometry prior.

Points that several images show (`tracks`) must lie on all their rays (`bundle`), and the drive be one
that the odometry may have recorded (`odometry_prior`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ace_ros.compute.threads import one_thread
from ace_ros.config import TrainingConfig
from ace_ros.data.scene import Frame
from ace_ros.geometry.se3 import from_rotation_translation
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.poses.bundle import (
    EXPLAINED_PX,
    Bundle,
    State,
    explained_share,
    gauss_newton_step,
    without_gauge,
)
from ace_ros.mapping.poses.odometry_prior import OdometryPrior
from ace_ros.mapping.poses.tracks import Tracks, find_tracks

logger = logging.getLogger(__name__)

# Widths of the robust loss in pixels: wide while poses are off, then narrower than the share of
# matches that are false. The focal length is told by what is left at the end.
WIDTHS_PX = (32.0, 16.0, 8.0, 4.0)
ROUNDS = 3  # of Gauss-Newton at each width
ROWS = 32  # images whose equations are made at a time


@dataclass(frozen=True)
class RefinedPoses:
    """Refined T_map_camera (I, 4, 4) float64 of mapping images, and what the focal length was multiplied by.

    `explained_before` and `explained` are the shares of matches within EXPLAINED_PX of the
    recorded and of the refined poses.
    """

    T_map_camera: Tensor
    focal_factor: float
    explained_before: float
    explained: float

    def figures(self) -> dict[str, float]:
        """Return what a map's header says of the refinement."""
        return {
            "focal_factor": round(self.focal_factor, 5),
            "explained_before": round(self.explained_before, 4),
            "explained": round(self.explained, 4),
        }

    def drive(self, frames: tuple[Frame, ...]) -> Tensor:
        """Return the recorded poses of the frames and the refined ones (2, I, 3, 4), as a map keeps them."""
        recorded = torch.stack([f.T_map_camera for f in frames])
        return torch.stack([recorded, self.T_map_camera])[..., :3, :]

    def apply(self, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
        """Return the frames with refined poses and focal lengths."""
        scale = torch.tensor([[self.focal_factor] * 2 + [1.0]] * 2 + [[1.0] * 3], dtype=torch.float64)
        return tuple(
            replace(f, T_map_camera=T, camera=replace(f.camera, matrix=f.camera.matrix * scale))
            for f, T in zip(frames, self.T_map_camera, strict=True)
        )


def wants_refinement(config: TrainingConfig) -> bool:
    """Return whether a config asks for refined poses."""
    return config.refine_poses or config.refine_focal


def refined_poses(
    images: EncodedImages,
    config: TrainingConfig,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> RefinedPoses | None:
    """Return refined poses where the config asks for them, else None; see `refine_poses`."""
    if not wants_refinement(config):
        return None
    return refine_poses(images, config.refine_focal, on_image)


def refine_poses(
    images: EncodedImages,
    refine_focal: bool = False,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> RefinedPoses:
    """Return refined poses of images that were recorded one after the other.

    The map frame stays where it was: the mean of all corrections is nothing. The scale is that of
    the recording, because images cannot tell it. Raises SceneError when an image cannot be read.
    """
    work = 2 * len(images)  # the adjustment takes about as long as the tracks
    tracks = find_tracks(images, lambda done, _: on_image(done, work))

    def on_round(share: float) -> None:
        on_image(round((1.0 + share) * len(images)), work)

    with one_thread(torch.device("cpu")):
        return adjust(images.T_map_camera, tracks, images.focal_px, refine_focal, on_round)


def refinement_in_words(figures: dict[str, float]) -> str:
    """Return the figures of a refinement as a sentence or two."""
    words = (
        f"poses refined: {100 * figures['explained']:.0f} % of matches within {EXPLAINED_PX:.0f} px, "
        f"{100 * figures['explained_before']:.0f} % as recorded"
    )
    if figures["focal_factor"] == 1.0:
        return words
    return f"{words}; focal length times {figures['focal_factor']:.4f}: correct the calibration of the camera"


@torch.no_grad()
def adjust(
    T_map_camera: Tensor,
    tracks: Tracks,
    focal_px: Tensor,
    refine_focal: bool = False,
    on_round: Callable[[float], None] = lambda share: None,
) -> RefinedPoses:
    """Return the poses (I, 4, 4) float64 that explain tracks; `focal_px` (I,) are the focal lengths."""
    centre = T_map_camera[:, :3, 3].mean(0)
    state = State(T_map_camera[:, :3, :3], T_map_camera[:, :3, 3] - centre, 0.0)
    recorded, prior = state, OdometryPrior(T_map_camera)
    bundles = [Bundle(tracks, focal_px, part, state) for part in torch.arange(len(focal_px)).split(ROWS)]
    for bundle in bundles:
        bundle.search_depths(state, WIDTHS_PX[0])
    schedule = [width for width in WIDTHS_PX for _ in range(ROUNDS)]
    for done, width in enumerate(schedule):
        state = gauss_newton_step(state, bundles, prior, width, refine_focal and width == WIDTHS_PX[-1])
        on_round((done + 1) / len(schedule))
    state = without_gauge(state, recorded)
    explained, before = explained_share(bundles, state), explained_share(bundles, recorded)
    if not explained > before:
        logger.warning("poses not refined: the images do not show better ones than the recorded")
        return RefinedPoses(T_map_camera, 1.0, before, before)
    T = from_rotation_translation(state.R, state.positions + centre)
    return RefinedPoses(T, math.exp(state.log_focal), before, explained)
