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
class Answer:
    """What one map, or one chunk of it, says of an image.

    `T_map_camera` (4, 4), on the CPU, is in `frame`; `depth_m` is the median distance to what agrees
    with it, `inlier_share` how much of the image that is. `ok` says whether it is believed on its own.
    """

    ok: bool
    inlier_share: float
    T_map_camera: Tensor
    depth_m: float
    frame: str = ""


def answer_of(poses: PoseBatch, points: Tensor, row: int, frame: str = "") -> Answer:
    """Return an answer from a row of poses and of the points (B, N, 3) that they were solved from."""
    T, inliers = poses.T_map_camera[row].cpu(), poses.inliers[row]
    ok = bool(poses.ok[row])
    seen = points[row, inliers].cpu() - T[:3, 3]
    depth = float(seen.norm(dim=1).median()) if ok else 0.0
    return Answer(ok, float(inliers.float().mean()), T, depth, frame)


def weigh(
    answers: Sequence[Answer],
    ambiguous_share: float,
    expected: Tensor | None = None,
    expected_frame: str = "",
) -> tuple[list[int], bool]:
    """Return the numbers of answers, the one to believe first, and whether others are as likely.

    Answers whose inliers are near those of the best are rivals. Where the camera is expected, (3,) in
    a frame, tells rivals in that frame apart, of which only one can be near; of other frames it
    says nothing.
    """
    order = sorted(range(len(answers)), key=lambda n: (not answers[n].ok, -answers[n].inlier_share))
    if not order or not answers[order[0]].ok:
        return order, False
    least = ambiguous_share * answers[order[0]].inlier_share
    rivals = [n for n in order if answers[n].ok and answers[n].inlier_share >= least]
    if expected is not None:
        beside = {
            n for n in rivals if answers[n].frame == expected_frame and _is_near(answers[n], expected)
        }
        if beside:
            rivals = [n for n in rivals if answers[n].frame != expected_frame or n in beside]
    alike = all(_agree(answers[rivals[0]], answers[n]) for n in rivals[1:])
    return [*rivals, *(n for n in order if n not in rivals)], not alike


def _is_near(answer: Answer, expected: Tensor) -> bool:
    return float((answer.T_map_camera[:3, 3] - expected).norm()) < EXPECTED_WITHIN_M


def _agree(one: Answer, other: Answer) -> bool:
    if one.frame != other.frame:
        return False
    metres, radians = pose_error(one.T_map_camera, other.T_map_camera)
    limit = max(SAME_POSE_M, SAME_POSE_SHARE * one.depth_m)
    return float(metres) < limit and float(radians) < SAME_POSE_RAD
