# SPDX-License-Identifier: Apache-2.0
"""The landmarks of a place, and how many of them its images usually show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ace_ros.config import TrainingConfig
from ace_ros.landmarks.landmarks import EXPECTED_INLIER_RATIO, Landmarks
from ace_ros.landmarks.refinement import refine_on_landmarks
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.landmarks.triangulation import LandmarkTracks, triangulate

JUDGED = 24  # images that say how many landmarks are usually shown
LEFT_OUT_EVERY = 5  # where no images are held out, those that the landmarks are measured without


@dataclass(frozen=True)
class MeasuredLandmarks:
    """Landmarks of all images of a place, and of all but those that are held out to validate its map."""

    of_all: Landmarks
    of_learned: Landmarks


def measure_landmarks(
    tracks: LandmarkTracks, images: EncodedImages, held: Tensor, centre: Tensor, config: TrainingConfig
) -> MeasuredLandmarks:
    """Return the landmarks of a place, relative to a centre (3,) of the map frame.

    Both kinds have the expected inlier ratio of images that gave no landmarks: of those held out (I,).
    """
    left_out = held if held.any() else torch.arange(len(held)) % LEFT_OUT_EVERY == LEFT_OUT_EVERY // 2
    of_learned = triangulate(tracks, ~left_out, centre, config)
    ratio = round(measure_inlier_ratio(of_learned.to(images.device), centre, images, left_out), 4)
    of_all = triangulate(tracks, torch.ones_like(held), centre, config)
    return MeasuredLandmarks(*(replace(x, expected_inlier_ratio=ratio) for x in (of_all, of_learned)))


def measure_inlier_ratio(
    landmarks: Landmarks, centre: Tensor, images: EncodedImages, chosen: Tensor
) -> float:
    """Return the share of landmarks in view that agree with an image of the place, in the median.

    `chosen` (I,) says which images have no part in the landmarks, which are relative to a `centre` (3,).
    """
    indices, shares = chosen.nonzero()[:, 0], []
    if not len(landmarks) or not len(indices):
        return EXPECTED_INLIER_RATIO
    few = indices[torch.linspace(0, len(indices) - 1, min(len(indices), JUDGED)).round().long()]
    for index in few.tolist():
        T = images.frames[index].T_map_camera.clone()
        T[:3, 3] -= centre
        cells = images.features(index).unit.permute(1, 2, 0).float().contiguous()
        camera = images.cameras[index].to(images.device)
        found = refine_on_landmarks(
            T[None].to(images.device), landmarks, camera, cells[None], images.card.stride
        )
        shares.append(float(found.share[0]))
    return float(torch.tensor(shares).median())
