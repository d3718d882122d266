# SPDX-License-Identifier: Apache-2.0
"""The rules by which a pose is believed or not, side by side; `decision` asks them in this order.

1. Which chunks may explain the image: all are looked at on a few cells, the best in full.
2. Which of the poses of several chunks is believed, if any is: `disambiguation`.
3. Whether landmarks confirm the pose, leave a doubt, or refute it.
4. Which chunks are searched for an image whose pose is in doubt.

Where the camera is expected weighs in the first three; it is never believed by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ace_ros.config import RansacConfig
from ace_ros.landmarks.refinement import LandmarkRefinement

BOUNDS_MARGIN_M = 2.0  # around the bounds of a chunk or place, for a robot whose pose there is expected

# All chunks are looked at on every fourth cell each way. The best one is evaluated in full, and the
# second where its share of right points is so near that a few cells cannot tell which has more, and
# more than chance. So are those of which one has to know that they do not place the image elsewhere
# just as well.
LOOK_STEP = 4
NEAR_SHARE, NEAR_RATIO = 0.1, 0.7
KNOWING_SHARE = 0.4  # of the least share of a pose: a look finds that much of it, and by chance half of that
MAX_FINALISTS, MAX_ALTERNATIVES = 2, 4

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
NEAR_EXPECTED_M = 1.0  # a pose so near to where the camera is expected needs no landmarks

# A chunk with this share of the likeness of the most similar one may be where the image is from, too.
# Other rooms of a building, with the same doors and windows, had 0.5 in the median and 0.71 at most.
ALIKE = 0.75


def around(expected: Tensor | None, bounds: Tensor) -> Tensor:
    """Return which chunks with bounds (K, 2, 3) lie around where the camera is expected (3,), (K,) bool."""
    if expected is None:
        return torch.zeros(len(bounds), dtype=torch.bool)
    low, high = bounds[:, 0] - BOUNDS_MARGIN_M, bounds[:, 1] + BOUNDS_MARGIN_M
    return ((low <= expected) & (expected <= high)).all(1)


def explain_enough(share: Tensor, most: float, ransac: RansacConfig) -> bool:
    """Return whether chunks that explain shares (n,) of an image leave no doubt that it is of one of them.

    `most` is the share that images of the place have. With so much of the image explained, no other
    chunk could explain so much more that the expected one would not be believed. With less, one could: the
    robot may have been carried.
    """
    return bool((share >= ransac.ambiguous_share * most).any())


def finalists(share: Tensor, ransac: RansacConfig) -> Tensor:
    """Return the places (m,) in shares (n,) of chunks that may explain an image: the best one and others."""
    best, index = share.topk(min(MAX_ALTERNATIVES, len(share)))
    near = (best >= best[0] - NEAR_SHARE) & (best >= NEAR_RATIO * best[0])
    near &= best >= KNOWING_SHARE * ransac.min_inlier_share
    near[0], near[MAX_FINALISTS:] = True, False
    alternative = best >= max(ransac.ambiguous_share * float(best[0]), ransac.min_inlier_share)
    return index[near | alternative]


class Verdict(NamedTuple):
    """What landmarks say of B poses, (B,) bool each.

    A pose that is not `confirmed` is `doubtful` if landmarks do not even contradict each other, but
    are not found, and `refuted` if there should be enough of them to tell that the image shows
    another place.
    """

    confirmed: Tensor
    doubtful: Tensor
    refuted: Tensor


def verdict(found: LandmarkRefinement, expected_inlier_ratio: float) -> Verdict:
    """Return what landmarks say of poses that were refined on them.

    `expected_inlier_ratio` says how many of those in view an image of the place shows.
    """
    in_view = found.looked_for.clamp(min=1)
    confirmed = (found.agree >= MIN_LANDMARKS) & (found.agree >= MIN_SHARE * found.found)
    confirmed &= found.agree >= max(MIN_SHARE_OF_EXPECTED * expected_inlier_ratio, LEAST_SHARE) * in_view
    confirmed &= torch.isfinite(found.T_local_camera).flatten(1).all(1)
    confirmed &= torch.isfinite(found.covariance).flatten(1).all(1)
    doubtful = ~confirmed & (found.found < FOUND_SHARE * in_view)
    refuted = doubtful & (found.looked_for >= MIN_LANDMARKS)
    refuted &= found.agree < REFUTED_SHARE_OF_EXPECTED * expected_inlier_ratio * in_view
    return Verdict(confirmed, doubtful, refuted)


def is_far(T_map_camera: Tensor, expected: Tensor | None) -> Tensor:
    """Return which poses (B, 4, 4) are too far from where the camera is expected to be spared by it."""
    if expected is None:
        return torch.ones(len(T_map_camera), dtype=torch.bool, device=T_map_camera.device)
    distance: Tensor = (T_map_camera[:, :3, 3] - expected.to(T_map_camera.device)).norm(dim=1)
    return distance > NEAR_EXPECTED_M


def searched(likeness: Tensor, alternatives: Sequence[int]) -> Iterator[tuple[int, bool]]:
    """Yield which chunks to search for an image that looks so much like each (K,), and whether in any case.

    Those that look nearly as much like it as the most similar one, as twins do, and the
    `alternatives`, which the heads could not tell apart, are searched in any case; another one only if
    there is no pose yet.
    """
    best, likely = likeness.topk(min(MAX_FINALISTS, len(likeness)))
    alike = [n for n, like in zip(likely.tolist(), best, strict=True) if like >= ALIKE * best[0]]
    for number in dict.fromkeys([*alike, *alternatives, *likely.tolist()]):
        yield number, number in (*alike, *alternatives)
