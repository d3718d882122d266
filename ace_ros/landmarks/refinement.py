# SPDX-License-Identifier: Apache-2.0
"""Refine poses that are nearly right: look for the landmarks of a chunk, and refine on those found."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ace_ros.geometry.camera import Camera
from ace_ros.landmarks.landmarks import Landmarks, find_landmarks
from ace_ros.pnp.refine_pose import refine_pose

# How many landmarks to look for, how many cells away, and the limits of an inlier's error in px.
ROUNDS = ((256, 2, (20.0, 8.0)), (512, 1, (6.0, 4.0)), (1024, 1, (5.0, 3.0)))


class LandmarkRefinement(NamedTuple):
    """T_local_camera (B, 4, 4) and covariance (B, 6, 6) as in PoseBatch, and what they rest on.

    Of the landmarks in view that were `looked_for` (B,), `found` (B,) were, and `agree` (B,) do with
    the pose, to a few pixels. Whether that is enough to believe it says `localization.rules`.
    """

    T_local_camera: Tensor
    covariance: Tensor
    looked_for: Tensor
    found: Tensor
    agree: Tensor

    @property
    def share(self) -> Tensor:
        """Return how many of the landmarks that images should show agree, (B,)."""
        return self.agree / self.looked_for.clamp(min=1)


def refine_on_landmarks(
    T_local_camera: Tensor, landmarks: Landmarks, camera: Camera, cells: Tensor, stride: int
) -> LandmarkRefinement:
    """Return poses (B, 4, 4), in the landmarks' frame, refined on the landmarks that images show.

    `cells` (B, h, w, C) are the features of the images in `camera` as `unit_cells` returns them.
    Poses that are off by more than two cells of image are not brought back. NaN poses stay so.
    """
    T = T_local_camera
    for count, reach, limits_px in ROUNDS:
        found = find_landmarks(landmarks, T, camera, cells, stride, count, reach)
        refined = refine_pose(found.pixels, found.points, camera, T, limits_px, found.weights)
        T = refined.T_map_camera
    return LandmarkRefinement(
        T, refined.covariance, found.looked_for, found.weights.sum(1), refined.inliers.sum(1)
    )
