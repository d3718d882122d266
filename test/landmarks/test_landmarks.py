# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from painted_wall import CAMERA, STRIDE, cells_of, landmarks, pose
from torch import Tensor
from torch.nn import functional as F

from ace_ros.geometry.se3 import inverse, transform
from ace_ros.landmarks.landmarks import FoundLandmarks, find_landmarks, quantised


def find(T: Tensor, cells: Tensor, count: int = 200, reach: int = 2) -> FoundLandmarks:
    return find_landmarks(landmarks(pose()), T[None], CAMERA, cells, STRIDE, count, reach)


@pytest.mark.parametrize("off_m", [0.0, 0.1, 0.2])
def test_landmarks_are_found_where_they_are_and_not_where_the_pose_puts_them(off_m: float) -> None:
    true = pose(0.1, -0.05, 3.0)
    found = find(pose(0.1 + off_m, -0.05, 3.0), cells_of(true))
    there = CAMERA.project(transform(inverse(true), found.points[0]))
    was_found = found.weights[0] > 0
    assert was_found.sum() > 150
    error = (found.pixels[0] - there).norm(dim=-1)[was_found]
    assert float(error.median()) < 1.0 and float(error.quantile(0.95)) < 2.5


def test_what_is_farther_off_than_the_reach_is_not_found() -> None:
    found = find(pose(0.6), cells_of(pose()), reach=1)  # 45 px
    assert found.weights.mean() < 0.1


def test_landmarks_are_not_looked_for_from_the_other_side_or_from_much_nearer() -> None:
    cells = cells_of(pose())
    for seen_from in (pose(x=6.0), torch.diag(torch.tensor([1.0, 1.0, 1.0, 1.0])).double()):
        shifted = seen_from.clone()
        shifted[2, 3] = 0.0 if seen_from[0, 3] > 0 else -5.0  # from the side; from nine metres away
        few = find_landmarks(landmarks(shifted), pose()[None], CAMERA, cells, STRIDE, 200, 1)
        assert few.weights.sum() < 0.2 * find(pose(), cells).weights.sum()


def test_a_pose_that_is_unknown_or_looks_away_finds_nothing() -> None:
    cells = cells_of(pose()).expand(2, -1, -1, -1).contiguous()
    T = torch.stack([torch.full((4, 4), torch.nan).double(), pose(turn_deg=180.0)])
    found = find_landmarks(landmarks(pose()), T, CAMERA, cells, STRIDE, 100, 1)
    assert found.pixels.shape == (2, 100, 2)
    assert not found.weights.any() and torch.isfinite(found.pixels).all()


def test_images_of_a_batch_do_not_touch_each_other() -> None:
    poses = [pose(0.05), pose(-0.3, 0.1, 5.0)]
    cells = [cells_of(T) for T in poses]
    both = find_landmarks(landmarks(pose()), torch.stack(poses), CAMERA, torch.cat(cells), STRIDE, 64, 1)
    for row, (T, own) in enumerate(zip(poses, cells, strict=True)):
        single = find_landmarks(landmarks(pose()), T[None], CAMERA, own, STRIDE, 64, 1)
        torch.testing.assert_close(both.pixels[row], single.pixels[0])
        assert torch.equal(both.weights[row], single.weights[0])


def test_quantising_keeps_directions() -> None:
    features = torch.randn(100, 128) * torch.logspace(-4, 3, 100)[:, None]
    kept = quantised(features)
    assert kept.dtype == torch.int8
    assert float(F.cosine_similarity(kept.float(), features).min()) > 0.999
    assert not quantised(torch.zeros(1, 8)).any()
