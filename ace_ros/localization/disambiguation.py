# SPDX-License-Identifier: Apache-2.0
"""Several poses for one image, from places that may look alike: which is believed, if any is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ace_ros.geometry.metrics import pose_error
from ace_ros.pnp.solve import PoseBatch

# Poses in one frame that agree so well are one answer: two maps see what lies between them.
SAME_POSE_M, SAME_POSE_RAD = 0.5, 0.2
SAME_POSE_SHARE = 0.05  # or to this share of the distance to what is seen
EXPECTED_WITHIN_M = 5.0  # of where a camera should be, its image was taken


@dataclass(frozen=True, eq=False)
class PoseCandidate:
    """What one map, or one chunk of it, says of an image.

    `T_map_camera` (4, 4), on the CPU, is in `frame`; `depth_m` is the median distance to what agrees
    with it, `inlier_share` how much of the image that is. `ok` says whether it is believed on its own.
    """

    ok: bool
    inlier_share: float
    T_map_camera: Tensor
    depth_m: float
    frame: str = ""


def candidate_of(poses: PoseBatch, points: Tensor, row: int, frame: str = "") -> PoseCandidate:
    """Return a candidate from a row of poses and of the points (B, N, 3) that they were solved from."""
    T, inliers = poses.T_map_camera[row].cpu(), poses.inliers[row]
    ok = bool(poses.ok[row])
    seen = points[row, inliers].cpu() - T[:3, 3]
    depth = float(seen.norm(dim=1).median()) if ok else 0.0
    return PoseCandidate(ok, float(inliers.float().mean()), T, depth, frame)


def disambiguate(
    candidates: Sequence[PoseCandidate],
    ambiguous_share: float,
    expected: Tensor | None = None,
    expected_frame: str = "",
) -> tuple[list[int], bool]:
    """Return the numbers of candidates, the one to believe first, and whether others are as likely.

    Candidates whose inliers are near those of the best are alternatives. Where the camera is expected,
    (3,) in a frame, tells alternatives in that frame apart, of which only one can be near; of other
    frames it says nothing.
    """
    order = sorted(range(len(candidates)), key=lambda n: (not candidates[n].ok, -candidates[n].inlier_share))
    if not order or not candidates[order[0]].ok:
        return order, False
    least = ambiguous_share * candidates[order[0]].inlier_share
    alternatives = [n for n in order if candidates[n].ok and candidates[n].inlier_share >= least]
    if expected is not None:
        beside = {
            n
            for n in alternatives
            if candidates[n].frame == expected_frame and _is_near(candidates[n], expected)
        }
        if beside:
            alternatives = [n for n in alternatives if candidates[n].frame != expected_frame or n in beside]
    alike = all(_agree(candidates[alternatives[0]], candidates[n]) for n in alternatives[1:])
    return [*alternatives, *(n for n in order if n not in alternatives)], not alike


def _is_near(candidate: PoseCandidate, expected: Tensor) -> bool:
    return float((candidate.T_map_camera[:3, 3] - expected).norm()) < EXPECTED_WITHIN_M


def _agree(one: PoseCandidate, other: PoseCandidate) -> bool:
    if one.frame != other.frame:
        return False
    metres, radians = pose_error(one.T_map_camera, other.T_map_camera)
    limit = max(SAME_POSE_M, SAME_POSE_SHARE * one.depth_m)
    return float(metres) < limit and float(radians) < SAME_POSE_RAD
