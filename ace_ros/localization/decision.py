# SPDX-License-Identifier: Apache-2.0
"""Localizing as one decision: from what a map says of images to the poses that are believed.

The steps in their order; the thresholds are in `rules` and `disambiguation`:

1. `head_poses`: each chunk's points give a pose by RANSAC and PnP; of several chunks one is believed.
2. `confirmed_by_landmarks`: the pose is refined on landmarks; they may leave a doubt or refute it.
3. `found_by_landmarks`: images whose pose is in doubt are searched for landmarks, whatever the head says.
"""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor

from ace_ros.landmarks.matching import likeness
from ace_ros.landmarks.refinement import refine_on_landmarks
from ace_ros.localization.disambiguation import PoseCandidate, candidate_of, disambiguate
from ace_ros.localization.landmark_search import LandmarkPose, pose_from_landmarks
from ace_ros.localization.loaded_map import LoadedMap, Prediction
from ace_ros.localization.rules import is_far, searched, verdict
from ace_ros.maps.scene_map import TYPICAL_COVARIANCE_SCALE
from ace_ros.pnp import PoseBatch, Reason, solve_pose
from ace_ros.pnp.solve import without


def decide(place: LoadedMap, seen: Prediction, search: bool = True) -> PoseBatch:
    """Return the poses (B) that are believed; without `search` those that need no search for landmarks.

    If chunks place an image at two poses and neither has many more inliers, it has none:
    AMBIGUOUS_PLACE. A pose is refined on landmarks where enough of them agree, and is none where
    hardly any do. Inlier thresholds count in pixels of the resized image, so they mean the same for
    any camera.
    """
    poses, chunk = head_poses(place, seen)
    if not place.has_landmarks:
        return replace(poses, covariance=place.scene_map.covariance_scale * poses.covariance)
    poses, doubtful = confirmed_by_landmarks(place, seen, poses, chunk)
    return found_by_landmarks(place, seen, poses, doubtful) if search else poses


def search(place: LoadedMap, seen: Prediction, poses: PoseBatch) -> PoseBatch:
    """Return poses that were decided without search, and for images without one those by landmarks."""
    if not place.has_landmarks or bool(poses.ok.all()):
        return poses
    return found_by_landmarks(place, seen, poses, ~poses.ok)


def head_poses(place: LoadedMap, seen: Prediction) -> tuple[PoseBatch, Tensor]:
    """Return the poses (B) that the heads give, and from which chunks (B,) they are."""
    pixels = seen.resized_pixels.expand(len(seen.points), -1, -1)
    solved = solve_pose(pixels, seen.points, seen.resized_camera, seen.query.ransac)
    winner, ambiguous = _chosen(place, seen, solved)
    poses = PoseBatch(*(getattr(solved, f.name)[winner] for f in fields(PoseBatch)))
    return without(poses, ambiguous, Reason.AMBIGUOUS_PLACE), seen.chunk[winner]


def _chosen(place: LoadedMap, seen: Prediction, solved: PoseBatch) -> tuple[Tensor, Tensor]:
    """Return which of all candidates (M,) to believe (B,), and whether others are as likely (B,)."""
    if len(place.heads) == 1:
        return seen.image, torch.zeros_like(seen.image, dtype=torch.bool)
    winners, unsure = [], []
    for image in range(int(seen.image[-1]) + 1):
        rows = (seen.image == image).nonzero()[:, 0].tolist()
        candidates = [candidate_of(solved, seen.points, row) for row in rows]
        order, ambiguous = disambiguate(candidates, seen.query.ransac.ambiguous_share, seen.query.expected)
        winners.append(rows[order[0]])
        unsure.append(ambiguous)
    return torch.tensor(winners, device=place.device), torch.tensor(unsure, device=place.device)


def confirmed_by_landmarks(
    place: LoadedMap, seen: Prediction, poses: PoseBatch, chunk: Tensor
) -> tuple[PoseBatch, Tensor]:
    """Return poses refined on the landmarks of their chunks (B,), and which (B,) of them to doubt.

    To doubt are images without a pose, and poses where few landmarks are found; where hardly any of them
    agree, there is none. Where many are found and contradict each other, because the mapping poses
    drifted, the head's pose is right.
    """
    # What the solver cannot see in one image: errors that a map's points have in common. How
    # large they are was measured on held-out images, with the landmarks' help if there are any.
    scale = place.scene_map.covariance_scale
    doubtful, refuted = ~poses.ok, torch.zeros_like(poses.ok)
    T = poses.T_map_camera.clone()
    covariance = max(scale, TYPICAL_COVARIANCE_SCALE) * poses.covariance
    for number, landmarks in enumerate(place.landmarks):
        rows = slice(None) if len(place.landmarks) == 1 else (chunk == number).nonzero()[:, 0]
        if not len(T[rows]) or not len(landmarks):
            continue
        local = T[rows].clone()
        local[:, :3, 3] -= place.centres[number]
        found = refine_on_landmarks(local, landmarks, seen.resized_camera, seen.cells[rows], place.stride)
        found.T_local_camera[:, :3, 3] += place.centres[number]
        said = verdict(found, landmarks.expected_inlier_ratio)
        doubtful[rows] |= said.doubtful
        refuted[rows] = said.refuted
        confirmed = said.confirmed[:, None, None]
        T[rows] = torch.where(confirmed, found.T_local_camera, T[rows])
        covariance[rows] = torch.where(confirmed, scale * found.covariance, covariance[rows])
    refuted &= is_far(T, seen.query.expected)
    poses = replace(poses, T_map_camera=T, covariance=covariance)
    return without(poses, refuted, Reason.TOO_FEW_INLIERS), doubtful


def found_by_landmarks(place: LoadedMap, seen: Prediction, poses: PoseBatch, doubtful: Tensor) -> PoseBatch:
    """Return poses with those of `doubtful` images (B,) that landmarks know where heads do not."""
    if not doubtful.any():
        return poses
    unclear = poses.reason == int(Reason.AMBIGUOUS_PLACE)
    T, covariance, inliers = (x.clone() for x in (poses.T_map_camera, poses.covariance, poses.inliers))
    ok, ambiguous = poses.ok.clone(), torch.zeros_like(doubtful)
    for image in doubtful.nonzero()[:, 0].tolist():
        alternatives = seen.chunk[(seen.image == image) & unclear[image]].tolist()
        found, ambiguous[image] = _landmark_pose(place, seen, image, alternatives)
        if found is not None:
            T[image], ok[image] = found.T_local_camera, True
            covariance[image] = place.scene_map.covariance_scale * found.covariance
            inliers[image] = False
            inliers[image, found.cells] = True
    reason = torch.where(ok, int(Reason.NONE), poses.reason).to(torch.uint8)
    return without(PoseBatch(T, ok, inliers, covariance, reason), ambiguous, Reason.AMBIGUOUS_PLACE)


def _landmark_pose(
    place: LoadedMap, seen: Prediction, image: int, alternatives: list[int]
) -> tuple[LandmarkPose | None, bool]:
    """Return the pose of an image by landmarks, in the map frame, and if others are as likely."""
    cells, query = seen.cells[image], seen.query
    found: list[LandmarkPose] = []
    candidates: list[PoseCandidate] = []
    for number, in_any_case in searched(likeness(place.landmarks, cells), alternatives):
        if found and not in_any_case:
            continue
        pose = pose_from_landmarks(
            place.landmarks[number], seen.resized_camera, cells, place.stride, query.ransac
        )
        if pose is not None:
            pose.T_local_camera[:3, 3] += place.centres[number]
            depth_m = (pose.points + place.centres[number] - pose.T_local_camera[:3, 3]).norm(dim=1).median()
            found.append(pose)
            share = len(pose.cells) / cells[..., 0].numel()
            candidates.append(PoseCandidate(True, share, pose.T_local_camera.cpu(), float(depth_m)))
    order, ambiguous = disambiguate(candidates, query.ransac.ambiguous_share, query.expected)
    return (found[order[0]] if found else None), ambiguous
