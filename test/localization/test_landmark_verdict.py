# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from painted_wall import CAMERA, STRIDE, cells_of, landmarks, pose
from torch import Tensor

from ace_ros.geometry.metrics import pose_error
from ace_ros.landmarks.landmarks import Landmarks, unit_cells
from ace_ros.landmarks.refinement import LandmarkRefinement, refine_on_landmarks
from ace_ros.localization.rules import MIN_LANDMARKS, Verdict, verdict


def refined(start: Tensor, marks: Landmarks, cells: Tensor) -> tuple[LandmarkRefinement, Verdict]:
    """Return poses (B, 4, 4) refined on landmarks that images show, and what those say of them."""
    found = refine_on_landmarks(start, marks, CAMERA, cells, STRIDE)
    return found, verdict(found, marks.expected_inlier_ratio)


@pytest.mark.parametrize("off_m", [0.02, 0.1, 0.2])
def test_a_pose_that_is_off_by_centimetres_becomes_good_to_millimetres(off_m: float) -> None:
    true = pose(0.1, -0.05, 3.0)
    start = pose(0.1 + off_m, -0.05 - 0.3 * off_m, 3.0)
    found, said = refined(start[None], landmarks(pose()), cells_of(true))
    metres, radians = pose_error(found.T_local_camera[0], true)
    assert bool(said.confirmed[0])
    assert float(metres) < 0.01 and math.degrees(float(radians)) < 0.15
    sigma = found.covariance[0].diagonal().sqrt()
    assert (sigma > 0).all() and float(sigma[:3].max()) < 0.05


def test_too_few_landmarks_do_not_outweigh_the_head() -> None:
    _, said = refined(pose()[None], landmarks(pose(), MIN_LANDMARKS - 1), cells_of(pose()))
    assert not said.confirmed.any()


def test_landmarks_of_another_place_are_not_believed() -> None:
    elsewhere = landmarks(pose())
    shuffled = elsewhere.features[torch.randperm(len(elsewhere), generator=torch.Generator().manual_seed(0))]
    wrong = type(elsewhere)(elsewhere.points, elsewhere.seen_from, shuffled)
    assert not refined(pose()[None], wrong, cells_of(pose()))[1].confirmed.any()


def test_landmarks_of_visits_that_contradict_each_other_are_not_believed() -> None:
    """Three drifting visits saw the wall 8 cm (6 px) apart: no more than a third can agree with a pose."""
    marks = landmarks(pose())
    visit = torch.arange(len(marks)) % 3 - 1
    apart = marks.points + 0.08 * visit[:, None] * torch.tensor([1.0, 0.0, 0.0])
    contradicting = Landmarks(apart, marks.seen_from, marks.features)
    _, said = refined(pose()[None], contradicting, cells_of(pose()))
    assert not said.confirmed.any() and not said.doubtful.any() and not said.refuted.any()


def foreign(marks: Landmarks) -> Landmarks:
    """Return landmarks in the same places that look otherwise."""
    noise = torch.randn(marks.features.shape, generator=torch.Generator().manual_seed(5)) * 40
    return replace(marks, features=noise.char())


def of_another_room(marks: Landmarks) -> Landmarks:
    """Return landmarks of which a third, its doors and windows, look the same."""
    alike = (torch.arange(len(marks)) % 3 == 0)[:, None]
    return replace(marks, features=torch.where(alike, marks.features, foreign(marks).features))


def test_a_place_that_shows_less_than_half_of_the_expected_is_another_one() -> None:
    partly = of_another_room(landmarks(pose()))

    def where_expected(ratio: float) -> tuple[LandmarkRefinement, Verdict]:
        return refined(pose()[None], replace(partly, expected_inlier_ratio=ratio), cells_of(pose()))

    found, said = where_expected(0.5)
    assert 0.25 < float(found.share[0]) < 0.4
    assert said.confirmed.all()  # as in a place where many landmarks are hard to see
    assert not where_expected(0.9)[1].confirmed.any()


def seen(marks: Landmarks, share: float = 1.0) -> Verdict:
    """Return what an image says of landmarks of the wall, of which it shows the left part."""
    cells = cells_of(pose())
    noise = torch.randn(cells.shape, generator=torch.Generator().manual_seed(6))
    covered = (torch.arange(cells.shape[2]) >= share * cells.shape[2])[:, None]
    partly = unit_cells(torch.where(covered, noise, cells).permute(0, 3, 1, 2))
    return refined(pose()[None], marks, partly)[1]


def test_landmarks_refute_a_pose_in_another_room_and_not_one_of_an_image_that_is_half_covered() -> None:
    marks = replace(landmarks(pose(), 2000), expected_inlier_ratio=1.0)
    found = seen(of_another_room(marks))
    assert found.doubtful.all() and found.refuted.all() and not found.confirmed.any()
    half = seen(marks, 0.46)
    assert half.doubtful.all() and not half.refuted.any() and not half.confirmed.any()
    assert not seen(marks).doubtful.any() and not seen(marks).refuted.any()
    # Where few of them should be in view, they say nothing.
    few = seen(foreign(landmarks(pose(), MIN_LANDMARKS - 1)))
    assert few.doubtful.all() and not few.refuted.any()


def test_an_unknown_pose_stays_so() -> None:
    poses = torch.stack([torch.full((4, 4), torch.nan).double(), pose(0.05)])
    cells = cells_of(pose()).expand(2, -1, -1, -1).contiguous()
    assert refined(poses, landmarks(pose()), cells)[1].confirmed.tolist() == [False, True]
