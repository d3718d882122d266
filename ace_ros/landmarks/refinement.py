# SPDX-License-Identifier: Apache-2.0
"""Refine the poses that a head gave: look for the landmarks of its chunk, and refine on those found."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ace_ros.geometry.camera import Camera
from ace_ros.landmarks.landmarks import Landmarks, find_landmarks
from ace_ros.pnp.refine_pose import refine_pose

# How many landmarks to look for, how many cells away, and the limits of an inlier's error in px.
ROUNDS = ((256, 2, (20.0, 8.0)), (512, 1, (6.0, 4.0)), (1024, 1, (5.0, 3.0)))
MIN_LANDMARKS = 60  # fewer do not outweigh what the head says.
# Nor does a smaller share of those found. Where mapping poses drifted, landmarks of different visits
# contradict each other, and the head, which has learned something between, errs less.
MIN_SHARE = 0.45
# Nor do those that agree, where images of the place show twice as many as a rule: other rooms have the
# same doors, windows and floors. Right poses had 0.59 of the expected ratio or more, wrong ones 0.33 or less.
MIN_SHARE_OF_EXPECTED = 0.5
LEAST_SHARE = 0.1  # however low the expected ratio is
# Where fewer than half of those in view are found at all, the head may be wrong, and where so few of the
# expected ratio agree, it is: it took the doors and windows of another room for its own. All of 173 such
# poses had 0.36 of the expected ratio or less; most images of the place that are half covered have more.
FOUND_SHARE = 0.5
REFUTED_SHARE_OF_EXPECTED = 0.4


class LandmarkRefinement(NamedTuple):
    """T_local_camera (B, 4, 4) and covariance (B, 6, 6) as in PoseBatch, for use where `ok` (B,).

    Where not, the pose that was to be refined is `doubtful` (B,) if landmarks do not even contradict each
    other, but are not found, and `refuted` (B,) if there should be enough of them to tell that the image
    shows another place. `share` (B,) is how many of the landmarks that it should show agree.
    """

    T_local_camera: Tensor
    covariance: Tensor
    ok: Tensor
    doubtful: Tensor
    refuted: Tensor
    share: Tensor


def refine_on_landmarks(
    T_local_camera: Tensor, landmarks: Landmarks, camera: Camera, cells: Tensor, stride: int
) -> LandmarkRefinement:
    """Return poses (B, 4, 4), in the landmarks' frame, refined on the landmarks that images show.

    `cells` (B, h, w, C) are the features of the images in `camera` as `unit_cells` returns them.
    Poses that are off by more than two cells of image are not brought back. NaN poses stay so. `ok`
    says where enough of the landmarks that the image should show agree to a few pixels.
    """
    T = T_local_camera
    for count, reach, limits_px in ROUNDS:
        found = find_landmarks(landmarks, T, camera, cells, stride, count, reach)
        refined = refine_pose(found.pixels, found.points, camera, T, limits_px, found.weights)
        T = refined.T_map_camera
    agree, looked_at = refined.inliers.sum(1), found.weights.sum(1)
    ok = (agree >= MIN_LANDMARKS) & (agree >= MIN_SHARE * looked_at)
    expected = found.looked_for.clamp(min=1)
    ok &= agree >= max(MIN_SHARE_OF_EXPECTED * landmarks.expected_inlier_ratio, LEAST_SHARE) * expected
    ok &= torch.isfinite(T).flatten(1).all(1) & torch.isfinite(refined.covariance).flatten(1).all(1)
    doubtful = ~ok & (looked_at < FOUND_SHARE * expected)
    refuted = doubtful & (found.looked_for >= MIN_LANDMARKS)
    refuted &= agree < REFUTED_SHARE_OF_EXPECTED * landmarks.expected_inlier_ratio * expected
    return LandmarkRefinement(T, refined.covariance, ok, doubtful, refuted, agree / expected)
