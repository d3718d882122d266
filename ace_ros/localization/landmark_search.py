# SPDX-License-Identifier: Apache-2.0
"""The pose of an image from landmarks alone, where the heads give none that they confirm."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ace_ros.config import RansacConfig
from ace_ros.geometry.camera import Camera
from ace_ros.landmarks.landmarks import Landmarks
from ace_ros.landmarks.matching import match_landmarks
from ace_ros.landmarks.refinement import refine_on_landmarks
from ace_ros.localization.rules import MIN_LANDMARKS, verdict
from ace_ros.network.encoder import cell_centres
from ace_ros.pnp import solve_pose


class LandmarkPose(NamedTuple):
    """T_local_camera (4, 4) and covariance (6, 6) of an image, as in PoseBatch.

    `points` (n, 3) are the landmarks that agree with it, and `cells` (n,) where the image shows them.
    """

    T_local_camera: Tensor
    covariance: Tensor
    points: Tensor
    cells: Tensor


def pose_from_landmarks(
    landmarks: Landmarks, camera: Camera, cells: Tensor, stride: int, ransac: RansacConfig
) -> LandmarkPose | None:
    """Return the pose, in the landmarks' frame, of an image of which nothing is known, or None.

    `cells` (h, w, C) are its features of unit length. Landmarks are matched by their features, RANSAC and
    PnP find the pose that most agree with, and it counts only if it can be refined on landmarks: if
    enough of those that it should show are there, to a few pixels.
    """
    if len(landmarks) < MIN_LANDMARKS:
        return None
    number, cell = match_landmarks(landmarks, cells)
    if len(number) < MIN_LANDMARKS:
        return None
    h, w = cells.shape[:2]
    pixels = cell_centres(stride * h, stride * w, stride, cells.device)[cell].double()
    points = landmarks.points[number].double()
    solved = solve_pose(pixels[None], points[None], camera, ransac)
    if not bool(solved.ok[0]):
        return None
    found = refine_on_landmarks(solved.T_map_camera, landmarks, camera, cells[None], stride)
    if not bool(verdict(found, landmarks.expected_inlier_ratio).confirmed[0]):
        return None
    agree = solved.inliers[0]
    return LandmarkPose(found.T_local_camera[0], found.covariance[0], points[agree], cell[agree])
